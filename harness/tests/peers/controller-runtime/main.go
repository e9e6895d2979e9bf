// A token webhook as somebody else writes it: controller-runtime's handler behind
// controller-runtime's server.
//
// It knows one token, the tutorial's, as "gopher"; every other one it refuses. With --client-ca it
// serves nobody without a certificate of that authority. --plain-http is the mistake of a webhook
// that does not look at its certificate.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/authentication"
)

// What is known, and as whom: base64 of "demmo-password", as in the tutorial.
const known = "ZGVtbW8tcGFzc3dvcmQ="

func main() {
	host := flag.String("host", "", "where to listen; everywhere when empty")
	port := flag.Int("port", 9443, "the port")
	cert := flag.String("cert", "", "the certificate")
	key := flag.String("key", "", "its key, in the same folder")
	path := flag.String("path", "/authenticate", "where reviews are posted to")
	clientCA := flag.String("client-ca", "", "the authority of the callers' certificates, in the same folder")
	plain := flag.Bool("plain-http", false, "no TLS")
	flag.Parse()
	log.SetLogger(klog.Background())
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	handler := &authentication.Webhook{Handler: authentication.HandlerFunc(authenticate)}
	if *plain {
		http.Handle(*path, handler)
		fail(http.ListenAndServe(*host+":"+strconv.Itoa(*port), nil))
	}
	server := webhook.NewServer(webhook.Options{
		Host:         *host,
		Port:         *port,
		CertDir:      filepath.Dir(*cert),
		CertName:     filepath.Base(*cert),
		KeyName:      filepath.Base(*key),
		ClientCAName: name(*clientCA),
	})
	server.Register(*path, handler)
	fail(server.Start(ctx))
}

func authenticate(_ context.Context, request authentication.Request) authentication.Response {
	if request.Spec.Token != known {
		return authentication.Unauthenticated("", authenticationv1.UserInfo{})
	}
	return authentication.Authenticated("", authenticationv1.UserInfo{
		Username: "gopher",
		UID:      "1",
		Groups:   []string{"gophers"},
	})
}

func name(path string) string {
	if path == "" {
		return ""
	}
	return filepath.Base(path)
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}
