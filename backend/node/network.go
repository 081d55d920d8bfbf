package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"sync"
	"time"

	"miniaws/backend"
	"miniaws/backend/node/protocol"
)

// Network speaks with the agent of one engine.
type Network struct {
	options Options
	folder  *os.File
	client  *http.Client
	// background lasts until Close, which waits for what runs in it.
	background context.Context
	stop       context.CancelFunc
	ended      sync.WaitGroup
	answers    answers

	// opening holds a token while the agent is brought up; whoever has it may use opened, failure and failed.
	opening chan struct{}
	opened  bool
	failure error
	failed  time.Time

	// mu guards what was said to the agent.
	mu       sync.Mutex
	wanted   map[string]backend.WantedVPC
	transits map[string]backend.WantedTransitGateway
	attached map[string]backend.Attachment
}

var (
	_ backend.VPCNetwork    = (*Network)(nil)
	_ backend.NetworkLooker = (*Network)(nil)
	_ backend.PublicDialer  = (*Network)(nil)
)

// patience is how long a call waits for an agent that does not answer: one that is being replaced is back in less.
const patience = 10 * time.Second

// call asks the agent, which it brings up if need be; in and out may be nil.
func (n *Network) call(ctx context.Context, method, path string, in, out any) error {
	if err := n.ready(ctx); err != nil {
		return err
	}
	return n.ask(ctx, method, path, in, out)
}

// ask asks the agent that is there.
func (n *Network) ask(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(patience)
	for {
		err := n.once(ctx, method, path, body, out)
		var unreachable *unreachableError
		if !errors.As(err, &unreachable) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// unreachableError tells that the agent was not reached at all, or left in the middle: every call may be repeated.
type unreachableError struct{ err error }

func (e *unreachableError) Error() string { return "the node agent does not answer: " + e.err.Error() }
func (e *unreachableError) Unwrap() error { return e.err }

func (n *Network) once(ctx context.Context, method, path string, body []byte, out any) error {
	request, err := http.NewRequestWithContext(ctx, method, "http://node"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := n.client.Do(request)
	if err != nil {
		return &backend.Error{Kind: backend.KindUnavailable, Op: method, Object: path, Err: &unreachableError{err}}
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		return &backend.Error{Kind: backend.KindUnavailable, Op: method, Object: path, Err: &unreachableError{err}}
	}
	if answer.StatusCode != http.StatusOK {
		var failure protocol.Failure
		if err := json.Unmarshal(content, &failure); err != nil {
			failure = protocol.Failure{Kind: backend.KindUnavailable, Op: method, Object: path, Message: answer.Status}
		}
		return failure.Err()
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(content, out); err != nil {
		return &backend.Error{Kind: backend.KindUnavailable, Op: method, Object: path, Err: err}
	}
	return nil
}

// NetworkInfo asks the agent what it can do.
func (n *Network) NetworkInfo(ctx context.Context) (info backend.NetworkInfo, err error) {
	err = n.call(ctx, http.MethodGet, "/info", nil, &info)
	if err == nil {
		info.HostReaches, err = n.isHere(info.HostSource)
	}
	return info, err
}

// isHere tells whether an address of the engine's host is one of this process's network: not in a container of its own, whose
// network has other ones.
func (n *Network) isHere(address netip.Addr) (bool, error) {
	all, err := net.InterfaceAddrs()
	for _, one := range all {
		if prefix, err := netip.ParsePrefix(one.String()); err == nil && prefix.Addr() == address {
			return true, nil
		}
	}
	return false, err
}

// ApplyVPC tells the agent the VPC as it should be.
func (n *Network) ApplyVPC(ctx context.Context, wanted backend.WantedVPC) (observed backend.ObservedVPC, err error) {
	if err := wanted.Check(); err != nil {
		return observed, &backend.Error{Kind: backend.KindPermanent, Op: "apply vpc", Object: wanted.ID, Err: err}
	}
	n.mu.Lock()
	n.wanted[wanted.ID] = wanted
	n.mu.Unlock()
	err = n.call(ctx, http.MethodPut, "/vpcs/"+url.PathEscape(wanted.ID), wanted, &observed)
	return observed, err
}

// RemoveVPC tells the agent to end the VPC.
func (n *Network) RemoveVPC(ctx context.Context, id string) error {
	n.mu.Lock()
	delete(n.wanted, id)
	for eni, attachment := range n.attached {
		if attachment.VPC == id {
			delete(n.attached, eni)
		}
	}
	n.mu.Unlock()
	return n.call(ctx, http.MethodDelete, "/vpcs/"+url.PathEscape(id), nil, nil)
}

// ListVPCs asks the agent for what is there.
func (n *Network) ListVPCs(ctx context.Context) (all []backend.ObservedVPC, err error) {
	err = n.call(ctx, http.MethodGet, "/vpcs", nil, &all)
	return all, err
}

// ApplyTransitGateway tells the agent the gateway as it should be.
func (n *Network) ApplyTransitGateway(ctx context.Context, wanted backend.WantedTransitGateway) (observed backend.ObservedTransitGateway, err error) {
	if err := wanted.Check(); err != nil {
		return observed, &backend.Error{Kind: backend.KindPermanent, Op: "apply transit gateway", Object: wanted.ID, Err: err}
	}
	n.mu.Lock()
	n.transits[wanted.ID] = wanted
	n.mu.Unlock()
	err = n.call(ctx, http.MethodPut, "/transit-gateways/"+url.PathEscape(wanted.ID), wanted, &observed)
	return observed, err
}

// RemoveTransitGateway tells the agent to end the gateway.
func (n *Network) RemoveTransitGateway(ctx context.Context, id string) error {
	n.mu.Lock()
	delete(n.transits, id)
	n.mu.Unlock()
	return n.call(ctx, http.MethodDelete, "/transit-gateways/"+url.PathEscape(id), nil, nil)
}

// ListTransitGateways asks the agent for what is there.
func (n *Network) ListTransitGateways(ctx context.Context) (all []backend.ObservedTransitGateway, err error) {
	err = n.call(ctx, http.MethodGet, "/transit-gateways", nil, &all)
	return all, err
}

// LookVPC asks the agent what the kernel holds.
func (n *Network) LookVPC(ctx context.Context, vpc, id string) (facts []backend.Fact, err error) {
	err = n.call(ctx, http.MethodGet, "/vpcs/"+url.PathEscape(vpc)+"/look?id="+url.QueryEscape(id), nil, &facts)
	return facts, err
}

// AttachENI tells the agent to wire the interface.
func (n *Network) AttachENI(ctx context.Context, attachment backend.Attachment) (observed backend.ObservedENI, err error) {
	err = n.call(ctx, http.MethodPut, "/enis", attachment, &observed)
	if err == nil {
		n.mu.Lock()
		n.attached[attachment.ENI] = attachment
		n.mu.Unlock()
	}
	return observed, err
}

// DetachENI tells the agent to take the interface out.
func (n *Network) DetachENI(ctx context.Context, vpc, eni string) error {
	n.mu.Lock()
	delete(n.attached, eni)
	n.mu.Unlock()
	return n.call(ctx, http.MethodDelete, "/vpcs/"+url.PathEscape(vpc)+"/enis/"+url.PathEscape(eni), nil, nil)
}

// DialVPC connects through the agent.
func (n *Network) DialVPC(ctx context.Context, vpc, network string, address netip.AddrPort) (net.Conn, error) {
	query := url.Values{"vpc": {vpc}, "network": {network}, "address": {address.String()}}
	if err := n.ready(ctx); err != nil {
		return nil, err
	}
	connection, err := n.become(ctx, "/dial?"+query.Encode())
	if err != nil && backend.KindOf(err) == 0 {
		err = &backend.Error{Kind: backend.KindUnavailable, Op: "dial vpc", Object: vpc, Err: err}
	}
	return connection, err
}

// DialPublic connects through the agent, from its engine's host.
func (n *Network) DialPublic(ctx context.Context, address netip.AddrPort) (net.Conn, error) {
	if err := n.ready(ctx); err != nil {
		return nil, err
	}
	connection, err := n.become(ctx, "/dial-public?address="+url.QueryEscape(address.String()))
	if err != nil && backend.KindOf(err) == 0 {
		err = &backend.Error{Kind: backend.KindUnavailable, Op: "dial public", Object: address.String(), Err: err}
	}
	return connection, err
}

// become turns a request into a connection.
func (n *Network) become(ctx context.Context, path string) (net.Conn, error) {
	connection, err := n.dial(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = connection.Close() })
	upgraded, err := upgradeConnection(connection, path)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, errors.Join(err, connection.Close())
	}
	return upgraded, nil
}

// Flows asks the agent for what was recorded.
func (n *Network) Flows(ctx context.Context) (records []backend.FlowRecord, err error) {
	err = n.call(ctx, http.MethodGet, "/flows", nil, &records)
	return records, err
}

// Close lets go of the agent, which goes on.
func (n *Network) Close() error {
	n.stop()
	n.ended.Wait()
	n.client.CloseIdleConnections()
	_, _ = n.answers.metadata.Close(), n.answers.api.Close()
	if n.folder == nil {
		return nil
	}
	return n.folder.Close()
}
