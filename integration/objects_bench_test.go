package integration

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"
)

// BenchmarkObjects reports what objects cost, beside a bare handler that syncs its files too; the two alternate, and the
// median of five rounds counts. PUTs have a signed SHA-256 of their bodies.
func BenchmarkObjects(b *testing.B) {
	const small, large, many = 4 << 10, 64 << 20, 1000
	for _, c := range []struct {
		name        string
		method      string
		size        int
		connections int
	}{
		{"PUT/4KiB/connections=32", http.MethodPut, small, 32},
		{"PUT/4KiB/connections=1", http.MethodPut, small, 1},
		{"GET/4KiB/connections=32", http.MethodGet, small, 32},
		{"HEAD/4KiB/connections=32", http.MethodHead, small, 32},
		{"PUT/64MiB/connections=4", http.MethodPut, large, 4},
		{"GET/64MiB/connections=4", http.MethodGet, large, 4},
	} {
		b.Run(c.name, func(b *testing.B) {
			body := make([]byte, c.size)
			_, _ = rand.NewChaCha8([32]byte{7}).Read(body) // never fails
			hash := hashOf(body)
			keys := many
			if c.size == large {
				keys = 4
			}
			for b.Loop() {
				b.StopTimer()
				var ours, bare []load
				var syncs []float64
				measure := func(m *measured) load {
					defer m.stop()
					if _, err := m.call(http.MethodPut, "/objects", "s3", nil, hashOf(nil)); err != nil && m.signed {
						b.Fatal(err)
					}
					name := func(n int) string { return fmt.Sprintf("/objects/o%d", n%keys) }
					if !m.signed {
						folder := "files"
						if c.size == large {
							folder = "sealed" // it does the same hashes and AES-GCM
						}
						name = func(n int) string { return fmt.Sprintf("/%s/o%d", folder, n%keys) }
					}
					put := func(n int) (int64, error) {
						_, err := m.call(http.MethodPut, name(n), "s3", body, hash)
						return int64(c.size), err
					}
					if c.method == http.MethodPut {
						m.run(c.connections, 500*time.Millisecond, put)
						if !m.signed {
							return m.run(c.connections, 2*time.Second, put)
						}
						before := m.metric("mini_aws_store_syncs_total")
						l := m.run(c.connections, 2*time.Second, put)
						syncs = append(syncs, (m.metric("mini_aws_store_syncs_total")-before)/float64(l.calls))
						return l
					}
					for n := range keys {
						if _, err := put(n); err != nil {
							b.Fatal(err)
						}
					}
					get := func(n int) (int64, error) { return m.call(c.method, name(n), "s3", nil, hashOf(nil)) }
					m.run(c.connections, 500*time.Millisecond, get)
					return m.run(c.connections, 2*time.Second, get)
				}
				for range rounds {
					bare = append(bare, measure(measureBare(b, b.TempDir())))
					ours = append(ours, measure(measureOurs(b, b.TempDir())))
				}
				report := func(unit string, of func(load) float64) {
					mine, floor := middleOf(ours, of), middleOf(bare, of)
					b.ReportMetric(mine, unit)
					b.ReportMetric(mine/floor, unit+"-x-bare")
				}
				if c.size == large {
					report("us-cpu", load.perCall)
					report("MB/s", func(l load) float64 { return float64(l.bytes) / 1e6 / l.took.Seconds() })
				} else {
					report("us-cpu", load.perCall)
					report("calls/s", load.rate)
					report("ms-p50", func(l load) float64 { return float64(l.median.Microseconds()) / 1000 })
				}
				if c.method == http.MethodPut {
					b.ReportMetric(middle(syncs), "syncs/call")
				}
				b.ReportMetric(0, "ns/op")
				b.StartTimer()
			}
		})
	}
}

func middleOf(all []load, of func(load) float64) float64 {
	var values []float64
	for _, l := range all {
		values = append(values, of(l))
	}
	return middle(values)
}

// BenchmarkList reports the time of a page of 1,000 keys in a bucket of 1,000,000, and of a listing of its 1,000 folders,
// beside a bare handler that answers as many bytes.
func BenchmarkList(b *testing.B) {
	data := filledFolder(b, 1_000_000)
	for _, c := range []struct{ name, query, has string }{
		{"keys=1000", "list-type=2&max-keys=1000&start-after=p%03d%%2F", "<Key>"},
		{"folders=1000", "delimiter=%%2F&list-type=2&max-keys=1000&start-after=p%03d", "<CommonPrefixes>"},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				var ours, bare []load
				var size int64
				for range rounds {
					m := measureOurs(b, data)
					page := func(n int) (int64, error) {
						start := n * 7 % 900
						if strings.HasPrefix(c.name, "folders") {
							start = 0
						}
						return m.call(http.MethodGet, "/many?"+fmt.Sprintf(c.query, start), "s3", nil, hashOf(nil))
					}
					m.calm()
					m.run(1, 300*time.Millisecond, page)
					ours = append(ours, m.run(1, 2*time.Second, page))
					last := ours[len(ours)-1]
					size = last.bytes / int64(last.calls)
					m.stop()
					floor := measureBare(b, b.TempDir())
					bare = append(bare, floor.run(1, time.Second, func(int) (int64, error) {
						return floor.call(http.MethodPost, fmt.Sprintf("/?answer=%d", size), "s3", nil, "")
					}))
					floor.stop()
				}
				median := func(l load) float64 { return float64(l.median.Microseconds()) / 1000 }
				b.ReportMetric(middleOf(ours, median), "ms-p50")
				b.ReportMetric(middleOf(bare, median), "ms-p50-bare")
				b.ReportMetric(middleOf(ours, load.perCall)/1000, "ms-cpu")
				b.ReportMetric(float64(size)/1000, "kB")
				b.ReportMetric(0, "ns/op")
				b.StartTimer()
			}
		})
	}
}

// BenchmarkDescribeInstances reports the time of DescribeInstances of 1,000 instances, beside a bare handler that answers
// as many bytes.
func BenchmarkDescribeInstances(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		data := b.TempDir()
		m := measureOurs(b, data)
		for range 50 {
			form := []byte("Action=RunInstances&Version=2016-11-15&MinCount=20&MaxCount=20&InstanceType=t3.nano&ImageId=" + imageID(b, m))
			if _, err := m.call(http.MethodPost, "/", "ec2", form, hashOf(form)); err != nil {
				b.Fatal(err)
			}
		}
		form := []byte("Action=DescribeInstances&Version=2016-11-15")
		describe := func(int) (int64, error) { return m.call(http.MethodPost, "/", "ec2", form, hashOf(form)) }
		// All of them running: nothing but the call is measured.
		pending := []byte("Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=instance-state-name&Filter.1.Value.1=pending")
		for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
			if n, err := m.call(http.MethodPost, "/", "ec2", pending, hashOf(pending)); err != nil || n < 500 {
				break
			}
		}
		m.calm()
		var ours, bare []load
		for range rounds {
			ours = append(ours, m.run(1, 2*time.Second, describe))
			size := ours[0].bytes / int64(ours[0].calls)
			floor := measureBare(b, b.TempDir())
			bare = append(bare, floor.run(1, time.Second, func(int) (int64, error) {
				return floor.call(http.MethodPost, fmt.Sprintf("/?answer=%d", size), "ec2", form, "")
			}))
			floor.stop()
		}
		median := func(l load) float64 { return float64(l.median.Microseconds()) / 1000 }
		b.ReportMetric(middleOf(ours, median), "ms-p50")
		b.ReportMetric(middleOf(bare, median), "ms-p50-bare")
		b.ReportMetric(middleOf(ours, load.perCall)/1000, "ms-cpu")
		b.ReportMetric(float64(ours[0].bytes)/float64(ours[0].calls)/1000, "kB")
		b.ReportMetric(0, "ns/op")
		m.stop()
		b.StartTimer()
	}
}

// imageID is that of an image that every installation knows.
func imageID(b *testing.B, m *measured) string {
	b.Helper()
	machines, err := newTortureMachines(b.Context(), newTorment(nil, m.address), "bench")
	if err != nil {
		b.Fatal(err)
	}
	return machines.image
}
