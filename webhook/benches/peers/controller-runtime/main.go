// A token webhook with controller-runtime: its handler behind its server, both as they come, but
// for TLS 1.3 as the least. Like the mock it knows every token.
//
// Its log of each review is at level 5, which is off unless it is asked for.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"net"
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

func main() {
	listen := flag.String("listen", "127.0.0.1:8443", "address and port")
	cert := flag.String("cert", "", "the certificate")
	key := flag.String("key", "", "its key, in the same folder")
	flag.Parse()
	log.SetLogger(klog.Background())
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	host, service, err := net.SplitHostPort(*listen)
	fail(err)
	port, err := strconv.Atoi(service)
	fail(err)
	server := webhook.NewServer(webhook.Options{
		Host:     host,
		Port:     port,
		CertDir:  filepath.Dir(*cert),
		CertName: filepath.Base(*cert),
		KeyName:  filepath.Base(*key),
		TLSOpts:  []func(*tls.Config){func(config *tls.Config) { config.MinVersion = tls.VersionTLS13 }},
	})
	server.Register("/authenticate", &authentication.Webhook{Handler: authentication.HandlerFunc(mock)})
	fail(server.Start(ctx))
}

func mock(context.Context, authentication.Request) authentication.Response {
	return authentication.Authenticated("", authenticationv1.UserInfo{
		Username: "mock",
		UID:      "mock",
		Groups:   []string{"group-mock"},
	})
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "controller-runtime:", err)
		os.Exit(1)
	}
}
