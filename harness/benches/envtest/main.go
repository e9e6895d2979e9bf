// The peer that the start of a control plane is measured against: controller-runtime's envtest,
// with the programs that KUBEBUILDER_ASSETS names.
//
// It starts and stops one control plane for each line that it reads, and answers each with the
// two durations in seconds, as JSON: {"start":2.41,"stop":1.13}.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

func main() {
	asked := bufio.NewScanner(os.Stdin)
	for asked.Scan() {
		durations, err := startAndStop()
		if err != nil {
			fmt.Fprintln(os.Stderr, "envtest:", err)
			os.Exit(1)
		}
		if err := json.NewEncoder(os.Stdout).Encode(durations); err != nil {
			os.Exit(1)
		}
	}
}

func startAndStop() (map[string]float64, error) {
	environment := &envtest.Environment{}
	begin := time.Now()
	if _, err := environment.Start(); err != nil {
		return nil, err
	}
	started := time.Now()
	if err := environment.Stop(); err != nil {
		return nil, err
	}
	return map[string]float64{
		"start": started.Sub(begin).Seconds(),
		"stop":  time.Since(started).Seconds(),
	}, nil
}
