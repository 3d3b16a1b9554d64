package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/crhost/crhost/host/httpapi"
	"github.com/crhost/crhost/host/httpapi/jsonpack"
)

func (c *cli) deploy() *cobra.Command {
	var tenant, config string
	var grants []string
	var refuseBusy bool
	cmd := &cobra.Command{
		Use:     "deploy MODULE FILE.wasm",
		Short:   "Deploy a module, or replace it while it serves",
		Example: "crhost deploy counter counter.wasm",
		Args:    takes("MODULE", "FILE.wasm"),
		RunE: func(cmd *cobra.Command, args []string) error {
			form, content, err := c.form(args[1], config, grants)
			if err != nil {
				return err
			}
			query := url.Values{}
			if refuseBusy {
				query.Set("busy", "refuse")
			}
			reply, err := c.upload(cmd.Context(), request{
				method: http.MethodPost, path: modulePath(tenant, args[0], "versions"), query: query, content: content,
			}, args[0], form)
			if err != nil {
				return err
			}
			return print(c, reply, func(d httpapi.Deployed) { c.deployed(d) })
		},
	}
	tenantFlag(cmd, &tenant)
	flags := cmd.Flags()
	flags.StringVar(&config, "config", "", "FILE.json with the revision's config (default: that of the active revision)")
	flags.StringArrayVar(&grants, "grant", nil, "EFFECT=TARGET it may cause; may be repeated (default: those of the active revision)")
	flags.BoolVar(&refuseBusy, "refuse-busy", false, "do not wait for another deploy of the module")
	return cmd
}

// deployed prints how a deploy ended.
func (c *cli) deployed(d httpapi.Deployed) {
	c.printf("%s/%s  %s  %s", d.Tenant, d.Module, d.Revision, d.Outcome)
	if d.Previous != "" && d.Previous != d.Revision {
		c.printf(", before %s", d.Previous)
	}
	c.printf("\n")
}

// form is the body of a deploy.
func (c *cli) form(file, config string, grants []string) (body []byte, content string, err error) {
	wasm, err := c.wasm(file)
	if err != nil {
		return nil, "", err
	}
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	part := func(name, content string, body []byte) {
		if err != nil {
			return
		}
		h := textproto.MIMEHeader{"Content-Disposition": {`form-data; name="` + name + `"`}, "Content-Type": {content}}
		out, fault := w.CreatePart(h)
		if err = fault; err == nil {
			_, err = out.Write(body)
		}
	}
	part("module", "application/wasm", wasm)
	if config != "" {
		json, err := c.config(config)
		if err != nil {
			return nil, "", err
		}
		part("config", "application/json", json)
	}
	for _, g := range grants {
		part("grants", "text/plain", []byte(g))
	}
	err = errors.Join(err, w.Close())
	return buf.Bytes(), w.FormDataContentType(), err
}

// wasm reads a module's file.
func (c *cli) wasm(file string) ([]byte, error) {
	wasm, err := c.readFile(file)
	if err != nil {
		return nil, unreadable(file, err)
	}
	if !bytes.HasPrefix(wasm, []byte("\x00asm")) {
		return nil, usage("build one: GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o FILE.wasm .", "%s is not a WebAssembly module", file)
	}
	return wasm, nil
}

// config reads a config's file.
func (c *cli) config(file string) ([]byte, error) {
	json, err := c.readFile(file)
	if err != nil {
		return nil, unreadable(file, err)
	}
	if _, err := jsonpack.ToMsgpack(nil, json); err != nil {
		return nil, usage(`a config is JSON, such as {"limit":3}`, "%s: %s", file, err)
	}
	return json, nil
}

func unreadable(file string, err error) error {
	exit, hint := exitFailed, ""
	if errors.Is(err, fs.ErrNotExist) {
		exit, hint = exitNotFound, "is the path right? make plugins builds the examples into bin/plugins"
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return &failure{exit: exit, detail: file + ": " + err.Error(), hint: hint}
}

// upload sends a form and waits for the end of the deploy, with a progress bar on a terminal.
func (c *cli) upload(ctx context.Context, rq request, module string, form []byte) ([]byte, error) {
	body := bytes.NewReader(form)
	rq.body = body
	if !c.terminal || c.output == "json" {
		return c.call(ctx, rq)
	}
	bar := newBar(c.stderr, module, len(form))
	rq.body, rq.length = bar.reader(body), int64(len(form))
	stop := bar.run()
	defer stop()
	return c.call(ctx, rq)
}
