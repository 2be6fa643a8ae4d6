// Command baseline is a mutating webhook for pods as tutorials write one: net/http, the types of k8s.io/api and
// encoding/json. If an image of the pod is Alpine's, it answers with a JSON patch that adds DNS options.
//
// It is the yardstick of the load benchmark, so it is written as its author would want it in production: nothing in it
// is slow on purpose, and nothing is tuned.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// maxBody is the largest review that is read, in bytes.
	maxBody = 8 << 20
	// injectedKey is the annotation that says what was added to the pod.
	injectedKey = "muslin.dev/injected"
)

// patchOperation is one operation of a JSON patch (RFC 6902).
type patchOperation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// wantedOptions are the options of resolv.conf that a pod with an Alpine image gets.
func wantedOptions() []corev1.PodDNSConfigOption {
	timeout, attempts := "5", "10"
	return []corev1.PodDNSConfigOption{
		{Name: "timeout", Value: &timeout},
		{Name: "attempts", Value: &attempts},
	}
}

// usesAlpine says whether an image of the pod names Alpine.
func usesAlpine(pod *corev1.Pod) bool {
	for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		if strings.Contains(container.Image, "alpine") {
			return true
		}
	}
	return false
}

// createPatch returns the operations that add the wanted options which the pod does not set, and the annotation.
func createPatch(pod *corev1.Pod) []patchOperation {
	var present []corev1.PodDNSConfigOption
	if pod.Spec.DNSConfig != nil {
		present = pod.Spec.DNSConfig.Options
	}

	var missing []corev1.PodDNSConfigOption
	var injected []string
	for _, option := range wantedOptions() {
		isSet := slices.ContainsFunc(present, func(o corev1.PodDNSConfigOption) bool { return o.Name == option.Name })
		if !isSet {
			missing = append(missing, option)
			injected = append(injected, option.Name+":"+*option.Value)
		}
	}
	if len(missing) == 0 {
		return nil
	}

	var patch []patchOperation
	switch {
	case pod.Spec.DNSConfig == nil:
		patch = append(patch, patchOperation{"add", "/spec/dnsConfig", corev1.PodDNSConfig{Options: missing}})
	case len(present) == 0:
		patch = append(patch, patchOperation{"add", "/spec/dnsConfig/options", missing})
	default:
		for _, option := range missing {
			patch = append(patch, patchOperation{"add", "/spec/dnsConfig/options/-", option})
		}
	}

	value := strings.Join(injected, " ")
	if pod.Annotations == nil {
		patch = append(patch, patchOperation{"add", "/metadata/annotations", map[string]string{injectedKey: value}})
	} else {
		path := "/metadata/annotations/" + strings.ReplaceAll(injectedKey, "/", "~1")
		patch = append(patch, patchOperation{"add", path, value})
	}
	return patch
}

// review answers one admission request.
func review(request *admissionv1.AdmissionRequest) (*admissionv1.AdmissionResponse, error) {
	var pod corev1.Pod
	if err := json.Unmarshal(request.Object.Raw, &pod); err != nil {
		return nil, fmt.Errorf("decode the pod: %w", err)
	}

	response := &admissionv1.AdmissionResponse{UID: request.UID, Allowed: true}
	if !usesAlpine(&pod) {
		return response, nil
	}
	patch := createPatch(&pod)
	if len(patch) == 0 {
		return response, nil
	}
	patchBytes, err := json.Marshal(patch)
	if err != nil {
		return nil, fmt.Errorf("encode the patch: %w", err)
	}
	patchType := admissionv1.PatchTypeJSONPatch
	response.Patch = patchBytes
	response.PatchType = &patchType
	return response, nil
}

// serveMutate answers POST /mutate.
func serveMutate(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "read the review: "+err.Error(), http.StatusBadRequest)
		return
	}

	var in admissionv1.AdmissionReview
	if err := json.Unmarshal(body, &in); err != nil {
		http.Error(w, "decode the review: "+err.Error(), http.StatusBadRequest)
		return
	}
	if in.Request == nil {
		http.Error(w, "the review has no request", http.StatusBadRequest)
		return
	}

	response, err := review(in.Request)
	if err != nil {
		response = &admissionv1.AdmissionResponse{
			UID:    in.Request.UID,
			Result: &metav1.Status{Message: err.Error()},
		}
	}

	out, err := json.Marshal(admissionv1.AdmissionReview{TypeMeta: in.TypeMeta, Response: response})
	if err != nil {
		http.Error(w, "encode the answer: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(out); err != nil {
		log.Printf("write the answer: %v", err)
	}
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8443", "address to listen on; port 0 takes a free one")
	cert := flag.String("cert", "tls.crt", "file with the certificate, PEM")
	key := flag.String("key", "tls.key", "file with the private key, PEM")
	flag.Parse()

	mux := http.NewServeMux()
	mux.HandleFunc("POST /mutate", serveMutate)

	// What ListenAndServeTLS does, in two steps, so that the port is known before the first request.
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatalf("listen on %s: %v", *addr, err)
	}
	fmt.Printf("https://%s/mutate\n", listener.Addr())

	server := &http.Server{Handler: mux}
	if err := server.ServeTLS(listener, *cert, *key); !errors.Is(err, http.ErrServerClosed) {
		log.Fatalf("serve: %v", err)
	}
}
