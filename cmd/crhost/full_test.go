package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/crhost/crhost/host/httpapi"
)

// smallDisk is a directory on a file system of its own, in memory, of so many MiB.
func smallDisk(t *testing.T, mib int) string {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm", mib), "tmpfs", dir).CombinedOutput(); err != nil {
		if os.Getenv("CRHOST_TEST_REQUIRE_SERVICES") == "1" {
			t.Fatalf("mount a small disk: %s", out)
		}
		t.Skipf("needs the right to mount a small disk: %s", out)
	}
	t.Cleanup(func() {
		out, err := exec.Command("umount", dir).CombinedOutput()
		require.NoError(t, err, "%s", out)
	})
	return dir
}

// fill takes up what is free of a disk, but for so many bytes. Removing the file that it returns gives it back.
func fill(t *testing.T, disk string, but int64) string {
	file := filepath.Join(disk, "ballast")
	f, err := os.Create(file)
	require.NoError(t, err)
	defer f.Close()
	block := make([]byte, 64<<10)
	for {
		if _, err := f.Write(block); err != nil {
			break
		}
	}
	info, err := f.Stat()
	require.NoError(t, err)
	require.NoError(t, f.Truncate(max(info.Size()-but, 0)))
	return file
}

// served is a serve in a process of its own.
type served struct {
	cmd  *exec.Cmd
	url  string
	errs bytes.Buffer
}

func serveAt(t *testing.T, args ...string) *served {
	k := &killed{t: t, args: append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)}
	s := new(served)
	k.errs = &s.errs
	k.start()
	s.cmd, s.url = k.cmd, k.url
	return s
}

// send sends one increment; status is 0 when nobody answers.
func (s *served) send(t *testing.T) (status int, seq uint64, body string) {
	resp, err := http.Post(s.url+"/v1/tenants/default/modules/counter/stores/main/actions", "application/json", strings.NewReader(`{"type":"increment"}`))
	if err != nil {
		return 0, 0, ""
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		return 0, 0, ""
	}
	var r httpapi.Receipt
	if resp.StatusCode == http.StatusOK {
		require.NoError(t, json.Unmarshal(b.Bytes(), &r))
	}
	return resp.StatusCode, r.Seq, b.String()
}

// S14: on a disk with no more than its reserve commands are refused, and taken again when there is room. On one that is really full the process ends, says why, exits
// with an error, and nothing that was acknowledged is lost.
func TestFullDisk(t *testing.T) {
	disk := smallDisk(t, 256)
	file := filepath.Join(t.TempDir(), "counter.wasm")
	require.NoError(t, os.WriteFile(file, enginetest.Counter(t), 0o644))
	flags := []string{"--data", filepath.Join(disk, "data"), "--plugin", "counter=" + file}

	s := serveAt(t, flags...)
	status, last, _ := s.send(t)
	require.Equal(t, http.StatusOK, status)
	ballast := fill(t, disk, 4<<20) // the reserve is 5 %, 12.8 MiB
	for status == http.StatusOK {   // until it is noticed, within a second
		if status, seq, body := s.send(t); status == http.StatusOK {
			last = seq
		} else {
			require.Equal(t, http.StatusInsufficientStorage, status, body)
			require.Contains(t, body, `"code":"storage_full"`)
			break
		}
	}
	require.NoError(t, os.Remove(ballast))
	for resumed := false; !resumed; {
		status, seq, body := s.send(t)
		if resumed = status == http.StatusOK; resumed {
			require.Equal(t, last+1, seq)
			last = seq
		} else {
			require.Equal(t, http.StatusInsufficientStorage, status, body)
		}
	}
	require.NoError(t, s.cmd.Process.Signal(os.Interrupt))
	require.NoError(t, s.cmd.Wait(), s.errs.String())

	s = serveAt(t, append(flags, "--reserve-bytes", "-1", "--shutdown-timeout", "5s")...)
	ballast = fill(t, disk, 0)
	for {
		status, seq, body := s.send(t)
		if status == http.StatusOK {
			require.Equal(t, last+1, seq)
			last = seq
			continue
		}
		if status != 0 {
			require.Contains(t, body, `"code":"unknown_outcome"`)
		}
		break
	}
	ended := make(chan error, 1)
	go func() { ended <- s.cmd.Wait() }()
	select {
	case err := <-ended:
		require.Error(t, err, "it exits with an error")
	case <-time.After(30 * time.Second):
		t.Fatal("it does not end")
	}
	require.Contains(t, s.errs.String(), "no space left on device")
	require.Contains(t, s.errs.String(), "start again")

	require.NoError(t, os.Remove(ballast))
	s = serveAt(t, flags...)
	status, seq, body := s.send(t)
	require.Equal(t, http.StatusOK, status, body)
	require.Contains(t, []uint64{last + 1, last + 2}, seq, "all that was acknowledged is there, and at most the one that nobody knows of")
	require.NoError(t, s.cmd.Process.Signal(os.Interrupt))
	require.NoError(t, s.cmd.Wait(), s.errs.String())
}
