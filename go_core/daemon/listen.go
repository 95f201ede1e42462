package daemon

import (
	"context"
	"fmt"

	"edged/gateway"
	"edged/metrics"
	"edged/service"
)

// Names of the sockets that systemd passes: FileDescriptorName= of its socket units.
const (
	passedRouter  = "edged"
	passedMetrics = "metrics"
)

// configError is a fault of the configuration that only shows when the daemon starts.
type configError struct{ error }

func (e configError) Unwrap() error { return e.error }

// listenOn completes the gateway's options with what systemd passed and with CURVE.
func (d *Daemon) listenOn(ctx context.Context, options *gateway.Options) error {
	sockets, err := service.PassedSockets()
	if err != nil {
		return configError{err}
	}
	for _, s := range sockets {
		if err := d.take(s, options); err != nil {
			return configError{err}
		}
	}
	if options.Curve, err = d.curve(ctx); err != nil {
		return configError{err}
	}
	return nil
}

func (d *Daemon) take(s service.PassedSocket, options *gateway.Options) error {
	endpoint, err := s.Endpoint()
	if err != nil {
		return err
	}
	switch s.Name {
	case passedRouter:
		if err := d.config.CheckExposure(endpoint); err != nil {
			return fmt.Errorf("socket unit: %w", err)
		}
		options.Passed = append(options.Passed, gateway.Listener{FD: s.FD, Endpoint: endpoint})
	case passedMetrics:
		if d.metrics, err = metrics.Adopt(s.FD); err != nil {
			return err
		}
	default:
		return fmt.Errorf("systemd passed the socket %s as %q, which edged does not know\n  remedy: write FileDescriptorName=%s or =%s in its unit",
			endpoint, s.Name, passedRouter, passedMetrics)
	}
	return nil
}

// curve reads the keys, and goes on watching which clients are allowed. nil where the configuration names no key.
func (d *Daemon) curve(ctx context.Context) (*gateway.Curve, error) {
	c := d.config
	if c.CurveServerKey == "" {
		return nil, nil
	}
	certificate, err := gateway.ReadServerCertificate(c.CurveServerKey)
	if err != nil {
		return nil, err
	}
	clients, err := gateway.NewAllowList(c.CurveClients, d.log)
	if err != nil {
		return nil, err
	}
	go clients.Watch(ctx)
	return &gateway.Curve{Certificate: certificate, Clients: clients}, nil
}
