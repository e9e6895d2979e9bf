// A token webhook with Go's standard library alone, written with care: it checks what tokenlab's
// server checks of a request and of the review in it, has limits and time limits, answers failures
// by a metav1.Status, and logs one line for each review. Like the mock it knows every token.
//
// What encoding/json cannot do is left out: field names that differ in case are taken for the same,
// and of a field that stands twice the last one counts.
package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

const (
	path      = "/authenticate"
	bodyLimit = 1 << 20
	// How many reviews may run at once, and how long one may take.
	inFlight    = 1024
	reviewLimit = 30 * time.Second
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8443", "address and port")
	cert := flag.String("cert", "", "the certificate")
	key := flag.String("key", "", "its key")
	flag.Parse()
	webhook := newWebhook(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	server := &http.Server{
		Addr:              *listen,
		Handler:           webhook,
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS13},
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 250},
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		<-ctx.Done()
		limited, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(limited)
	}()
	if err := server.ListenAndServeTLS(*cert, *key); !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, "net-http:", err)
		os.Exit(1)
	}
	<-drained
}

type webhook struct {
	log    *slog.Logger
	hashes []byte
	slots  chan struct{}
}

func newWebhook(log *slog.Logger) *webhook {
	hashes := make([]byte, sha256.Size)
	_, _ = rand.Read(hashes)
	return &webhook{log: log, hashes: hashes, slots: make(chan struct{}, inFlight)}
}

// What a TokenReview has that matters.
type question struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
	Spec       struct {
		Token     string   `json:"token"`
		Audiences []string `json:"audiences"`
	} `json:"spec"`
}

type answer struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Status     status `json:"status"`
}

type status struct {
	Authenticated bool     `json:"authenticated"`
	User          *user    `json:"user,omitempty"`
	Audiences     []string `json:"audiences,omitempty"`
	Error         string   `json:"error,omitempty"`
}

type user struct {
	Username string              `json:"username,omitempty"`
	UID      string              `json:"uid,omitempty"`
	Groups   []string            `json:"groups,omitempty"`
	Extra    map[string][]string `json:"extra,omitempty"`
}

// Why a request gets no review: the fields of a metav1.Status.
type failure struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
	Status     string `json:"status"`
	Message    string `json:"message"`
	Reason     string `json:"reason"`
	Code       int    `json:"code"`
}

func failed(code int, reason, message string) *failure {
	return &failure{
		Kind: "Status", APIVersion: "v1", Status: "Failure",
		Message: message, Reason: reason, Code: code,
	}
}

func (w *webhook) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	arrived := time.Now()
	defer func() {
		if recover() != nil {
			w.refuse(writer, failed(http.StatusInternalServerError, "InternalError", "the review failed"))
		}
	}()
	switch {
	case request.URL.Path != path:
		w.refuse(writer, failed(http.StatusNotFound, "NotFound", "nothing is here"))
		return
	case request.Method != http.MethodPost:
		writer.Header().Set("Allow", http.MethodPost)
		w.refuse(writer, failed(http.StatusMethodNotAllowed, "MethodNotAllowed", "use POST"))
		return
	}
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	default:
		w.refuse(writer, failed(http.StatusTooManyRequests, "TooManyRequests", "too many reviews"))
		return
	}
	review, failure := read(writer, request)
	if failure != nil {
		w.refuse(writer, failure)
		return
	}
	limit := reviewLimit
	if asked, err := time.ParseDuration(request.URL.Query().Get("timeout")); err == nil && asked > 0 {
		limit = min(limit, asked)
	}
	ctx, cancel := context.WithTimeout(request.Context(), limit)
	defer cancel()
	decision := guarded(mock(ctx, review))
	body, err := json.Marshal(answer{review.APIVersion, review.Kind, decision})
	if err != nil {
		w.refuse(writer, failed(http.StatusInternalServerError, "InternalError", "no answer"))
		return
	}
	send(writer, http.StatusOK, body)
	hash := hmac.New(sha256.New, w.hashes)
	_, _ = io.WriteString(hash, review.Spec.Token)
	w.log.LogAttrs(ctx, slog.LevelInfo, "review",
		slog.Bool("authenticated", decision.Authenticated),
		slog.Int64("latency_us", time.Since(arrived).Microseconds()),
		slog.String("api_version", review.APIVersion),
		slog.String("token", hex.EncodeToString(hash.Sum(nil)[:6])),
	)
}

func read(writer http.ResponseWriter, request *http.Request) (*question, *failure) {
	media, _, err := mime.ParseMediaType(request.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return nil, failed(http.StatusUnsupportedMediaType, "UnsupportedMediaType", "send Content-Type: application/json")
	}
	body, err := io.ReadAll(http.MaxBytesReader(writer, request.Body, bodyLimit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, failed(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "the body is too large")
	case err != nil:
		return nil, failed(http.StatusBadRequest, "BadRequest", "the body ended early")
	case !utf8.Valid(body):
		return nil, failed(http.StatusBadRequest, "BadRequest", "the body is not UTF-8")
	}
	review := &question{}
	if json.Unmarshal(body, review) != nil {
		return nil, failed(http.StatusBadRequest, "BadRequest", "the body is no TokenReview")
	}
	switch {
	case review.Kind != "TokenReview":
		return nil, failed(http.StatusBadRequest, "BadRequest", "kind is not TokenReview")
	case review.APIVersion != "authentication.k8s.io/v1" && review.APIVersion != "authentication.k8s.io/v1beta1":
		return nil, failed(http.StatusBadRequest, "BadRequest", "apiVersion is of no TokenReview")
	case review.Spec.Token == "":
		return nil, failed(http.StatusBadRequest, "BadRequest", "spec.token is missing or empty")
	}
	return review, nil
}

func mock(context.Context, *question) status {
	return status{
		Authenticated: true,
		User:          &user{Username: "mock", UID: "mock", Groups: []string{"group-mock"}},
	}
}

// Nobody becomes a part of Kubernetes by this webhook.
func guarded(decision status) status {
	if !decision.Authenticated {
		return decision
	}
	reserved := decision.User.Username == "" || strings.HasPrefix(decision.User.Username, "system:")
	for _, group := range decision.User.Groups {
		reserved = reserved || strings.HasPrefix(group, "system:")
	}
	if reserved {
		return status{Error: "a reserved name"}
	}
	return decision
}

func (w *webhook) refuse(writer http.ResponseWriter, failure *failure) {
	w.log.Info("request", "code", failure.Code, "reason", failure.Message)
	body, err := json.Marshal(failure)
	if err != nil {
		body = nil
	}
	send(writer, failure.Code, body)
}

func send(writer http.ResponseWriter, code int, body []byte) {
	writer.Header().Set("Content-Type", "application/json")
	writer.WriteHeader(code)
	_, _ = writer.Write(body)
}
