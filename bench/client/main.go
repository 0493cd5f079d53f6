// The benchmark's client: one job a line on standard input, one answer a line on standard output.
// A Python client would be the slowest part of what it measures. Connections are kept between jobs.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// Job is `count` equal requests, made by `clients` at a time. A file is sent in chunks, as docker does, unless `plain`.
type Job struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	CA      string            `json:"ca"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
	File    string            `json:"file"`
	Plain   bool              `json:"plain"`
	HTTP2   bool              `json:"http2"`
	Count   int               `json:"count"`
	Clients int               `json:"clients"`
}

// Answer tells how long all took and each, in seconds from the first byte written to the last byte read.
type Answer struct {
	Seconds  float64        `json:"seconds"`
	Each     []float64      `json:"each"`
	Statuses map[string]int `json:"statuses"`
	Bytes    int64          `json:"bytes"`
	TLS      string         `json:"tls"`
	Protocol string         `json:"protocol"`
	Location string         `json:"location"`
	Text     string         `json:"text"`
	Error    string         `json:"error"`
}

const piece = 256 << 10

var clients = map[string]*http.Client{}

func main() {
	jobs, answers := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var job Job
		if err := jobs.Decode(&job); err == io.EOF {
			return
		} else if err != nil {
			fmt.Fprintln(os.Stderr, "bench client:", err)
			os.Exit(1)
		}
		answers.Encode(run(job))
	}
}

func run(job Job) Answer {
	client, err := trusting(job.CA, job.HTTP2)
	if err != nil {
		return Answer{Error: err.Error()}
	}
	whole := Answer{Statuses: map[string]int{}}
	var lock sync.Mutex
	var group sync.WaitGroup
	begin := time.Now()
	for at := 0; at < job.Clients; at++ {
		group.Add(1)
		go func(mine int) {
			defer group.Done()
			for ; mine > 0; mine-- {
				one, seconds, err := ask(client, job)
				lock.Lock()
				whole.add(one, seconds, err)
				lock.Unlock()
			}
		}(share(job, at))
	}
	group.Wait()
	whole.Seconds = time.Since(begin).Seconds()
	return whole
}

func share(job Job, at int) int {
	mine := job.Count / job.Clients
	if at < job.Count%job.Clients {
		mine++
	}
	return mine
}

type outcome struct {
	response *http.Response
	bytes    int64
	text     string
}

func (whole *Answer) add(one outcome, seconds float64, err error) {
	if err != nil {
		whole.Error = err.Error()
		return
	}
	whole.Each = append(whole.Each, seconds)
	whole.Statuses[fmt.Sprint(one.response.StatusCode)]++
	whole.Bytes += one.bytes
	whole.TLS = told(one.response.TLS)
	whole.Protocol = one.response.Proto
	whole.Location = one.response.Header.Get("Location")
	whole.Text = one.text
}

func ask(client *http.Client, job Job) (outcome, float64, error) {
	request, closing, err := prepared(job)
	if err != nil {
		return outcome{}, 0, err
	}
	defer closing()
	begin := time.Now()
	response, err := client.Do(request)
	if err != nil {
		return outcome{}, 0, err
	}
	defer response.Body.Close()
	size, text, err := read(response.Body)
	if err != nil {
		return outcome{}, 0, err
	}
	return outcome{response, size, text}, time.Since(begin).Seconds(), nil
}

func prepared(job Job) (*http.Request, func(), error) {
	closing := func() {}
	var body io.Reader
	var length int64
	if job.File != "" {
		file, err := os.Open(job.File)
		if err != nil {
			return nil, nil, err
		}
		closing = func() { file.Close() }
		body = struct{ io.Reader }{file} // its length is hidden, so it goes in chunks
		if found, err := file.Stat(); err == nil && job.Plain {
			length = found.Size()
		}
	} else if job.Body != "" {
		body = strings.NewReader(job.Body)
	}
	request, err := http.NewRequest(job.Method, job.URL, body)
	if err != nil {
		closing()
		return nil, nil, err
	}
	if length > 0 {
		request.ContentLength = length
	}
	for name, value := range job.Headers {
		request.Header.Set(name, value)
	}
	return request, closing, nil
}

// The whole body is read and dropped; the start of it is kept for messages.
func read(body io.Reader) (int64, string, error) {
	buffer := make([]byte, piece)
	var size int64
	var text string
	for {
		got, err := body.Read(buffer)
		if size == 0 && got > 0 {
			text = string(buffer[:min(got, 200)])
		}
		size += int64(got)
		if err == io.EOF {
			return size, text, nil
		}
		if err != nil {
			return size, text, err
		}
	}
}

// Connections of one protocol and CA are shared by all jobs.
func trusting(ca string, http2 bool) (*http.Client, error) {
	key := fmt.Sprint(http2, ca)
	if known := clients[key]; known != nil {
		return known, nil
	}
	certificates, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(certificates) {
		return nil, fmt.Errorf("%s holds no certificate", ca)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	clients[key] = &http.Client{
		Timeout:       10 * time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			TLSClientConfig:     &tls.Config{RootCAs: pool},
			Protocols:           protocols,
			MaxIdleConnsPerHost: 64,
			DisableCompression:  true,
			ReadBufferSize:      64 << 10,
			WriteBufferSize:     64 << 10,
		},
	}
	return clients[key], nil
}

func told(state *tls.ConnectionState) string {
	if state == nil {
		return ""
	}
	return tls.VersionName(state.Version) + " " + tls.CipherSuiteName(state.CipherSuite)
}
