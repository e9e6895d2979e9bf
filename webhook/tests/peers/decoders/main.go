// What Kubernetes' own decoder, and controller-runtime's handler, make of a body.
//
// Standard input is a JSON array of bodies in base64; standard output has for each of them what
// both said, in the same order.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	authenticationv1 "k8s.io/api/authentication/v1"
	authenticationv1beta1 "k8s.io/api/authentication/v1beta1"
	"k8s.io/apimachinery/pkg/runtime"
	serializer "k8s.io/apimachinery/pkg/runtime/serializer/json"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/authentication"
)

// A review as it was understood, or why it was not.
type review struct {
	APIVersion string   `json:"api_version,omitempty"`
	Token      string   `json:"token,omitempty"`
	Audiences  []string `json:"audiences,omitempty"`
	Error      string   `json:"error,omitempty"`
}

type answer struct {
	Apimachinery      review `json:"apimachinery"`
	ControllerRuntime review `json:"controller_runtime"`
}

func main() {
	var bodies [][]byte
	if err := json.NewDecoder(os.Stdin).Decode(&bodies); err != nil {
		fail(err)
	}
	scheme := runtime.NewScheme()
	utilruntime.Must(authenticationv1.AddToScheme(scheme))
	utilruntime.Must(authenticationv1beta1.AddToScheme(scheme))
	decoder := serializer.NewSerializerWithOptions(
		serializer.DefaultMetaFactory, scheme, scheme, serializer.SerializerOptions{},
	)
	answers := make([]answer, 0, len(bodies))
	for _, body := range bodies {
		answers = append(answers, answer{decoded(decoder, body), handled(body)})
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		fail(err)
	}
}

// The apiserver's decoder, and its check of the token
// (pkg/registry/authentication/tokenreview/storage.go, v1.37.2).
func decoded(decoder runtime.Decoder, body []byte) review {
	object, kind, err := decoder.Decode(body, nil, nil)
	if err != nil {
		return review{Error: err.Error()}
	}
	version := kind.GroupVersion().String()
	switch found := object.(type) {
	case *authenticationv1.TokenReview:
		return understood(version, found.Spec.Token, found.Spec.Audiences)
	case *authenticationv1beta1.TokenReview:
		return understood(version, found.Spec.Token, found.Spec.Audiences)
	default:
		return review{Error: fmt.Sprintf("%T is no TokenReview", object)}
	}
}

func understood(version, token string, audiences []string) review {
	if token == "" {
		return review{Error: "token is required"}
	}
	return review{APIVersion: version, Token: token, Audiences: audiences}
}

// controller-runtime answers everything with 200: what it accepts, it hands on.
func handled(body []byte) review {
	var seen *review
	handler := func(_ context.Context, request authentication.Request) authentication.Response {
		seen = &review{Token: request.Spec.Token, Audiences: request.Spec.Audiences}
		return authentication.Unauthenticated("", authenticationv1.UserInfo{})
	}
	webhook := &authentication.Webhook{Handler: authentication.HandlerFunc(handler)}
	request := httptest.NewRequest(http.MethodPost, "/authenticate", bytes.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	webhook.ServeHTTP(recorder, request)
	var reply authenticationv1.TokenReview
	if err := json.Unmarshal(recorder.Body.Bytes(), &reply); err != nil {
		fail(err)
	}
	if seen == nil {
		return review{Error: reply.Status.Error}
	}
	seen.APIVersion = reply.APIVersion
	return *seen
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "decoders:", err)
	os.Exit(1)
}
