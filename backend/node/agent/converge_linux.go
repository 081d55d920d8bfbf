package agent

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"miniaws/backend"
	"miniaws/backend/node/kernel"
	"miniaws/backend/node/plan"
)

// converge makes the VPC as wanted, mending whatever is not. The agent's lock is held.
func (a *Agent) converge(v *vpc) error {
	v.problems = nil
	if err := a.open(v); err != nil {
		v.problems = append(v.problems, err.Error())
		return err
	}
	var errs []error
	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
			v.problems = append(v.problems, err.Error())
		}
	}
	if plan.HasIPv6(v.Wanted) {
		if kernel.HasIPv6() {
			note(v.router.IPv6())
		} else {
			v.problems = append(v.problems, "this kernel carries no IPv6: the VPC's IPv6 ranges are records")
		}
	}
	note(a.uplink(v))
	note(a.peer(v))
	note(a.join(v))
	note(a.mendDevices(v))
	note(a.program(v))
	note(a.serve(v))
	note(a.record(v))
	return errors.Join(errs...)
}

// open makes sure of the namespace.
func (a *Agent) open(v *vpc) error {
	if v.router != nil && v.router.Alive() {
		return nil
	}
	if v.services != nil {
		v.services.close()
		v.services = nil
	}
	if v.router != nil {
		v.router.Close()
		v.router = nil
	}
	router, err := kernel.OpenRouter(namespacePath(v.Wanted.ID))
	if err != nil {
		return fmt.Errorf("the VPC's namespace: %w", err)
	}
	v.router = router
	return nil
}

// uplink connects the router with the public bridge, if it has an internet gateway.
func (a *Agent) uplink(v *vpc) error {
	if !plan.LeadsOut(v.Wanted) {
		v.Own = netip.Addr{}
		return v.router.Disconnect()
	}
	if a.options.Bridge == "" {
		return errors.New("there is no public bridge: the internet gateway leads nowhere")
	}
	own, err := a.ownAddress(v)
	if err != nil {
		return err
	}
	v.Own = own
	uplink := kernel.Uplink{
		Bridge: a.options.Bridge, HostDevice: plan.HostDevice(a.options.Owner, v.Wanted.ID), Own: own,
		Alias: "mini-aws " + a.options.Owner + " " + v.Wanted.ID,
	}
	if v.hasIPv6() {
		uplink.Own6 = plan.LinkLocal(a.options.Owner, v.Wanted.ID)
	}
	return v.router.Connect(uplink)
}

// hasIPv6 tells whether the VPC's IPv6 is real.
func (v *vpc) hasIPv6() bool { return plan.HasIPv6(v.Wanted) && kernel.HasIPv6() }

// reaches are the IPv6 ranges on the public bridge, without those of one VPC.
func (a *Agent) reaches(without *vpc) []plan.Reach {
	var all []plan.Reach
	for _, v := range a.sorted() {
		if v == without || !v.hasIPv6() || !v.Own.IsValid() || !plan.LeadsOut(v.Wanted) {
			continue
		}
		for _, cidr := range v.Wanted.CIDRs {
			if cidr.Addr().Is6() {
				all = append(all, plan.Reach{Range: cidr, Via: plan.LinkLocal(a.options.Owner, v.Wanted.ID)})
			}
		}
	}
	return all
}

// tellWorld tells the engine's host and the other VPCs where the IPv6 ranges of a VPC are, after it changed or went.
func (a *Agent) tellWorld(changed *vpc, before backend.WantedVPC) error {
	if a.options.Bridge == "" || !plan.HasIPv6(before) && !plan.HasIPv6(changed.Wanted) {
		return nil
	}
	errs := []error{kernel.SetBridgeRoutes(a.options.Bridge, a.reaches(nil))}
	for _, other := range a.sorted() {
		if other != changed && other.router != nil && other.hasIPv6() && plan.LeadsOut(other.Wanted) {
			errs = append(errs, a.program(other))
		}
	}
	return errors.Join(errs...)
}

// peer connects the router with those of peered VPCs that are there and want it too.
func (a *Agent) peer(v *vpc) error {
	var errs []error
	for _, peering := range v.Wanted.Peerings {
		other := a.vpcs[peering.VPC]
		if other == nil || other.router == nil || !slices.ContainsFunc(other.Wanted.Peerings, func(p backend.WantedPeering) bool { return p.ID == peering.ID }) {
			continue
		}
		first, second := v.router, other.router
		if v.Wanted.ID > other.Wanted.ID {
			first, second = second, first
		}
		errs = append(errs, kernel.Peer(first, second, plan.DeviceName(peering.ID), defaultMTU))
	}
	return errors.Join(errs...)
}

// mendDevices removes devices that nobody wants and wires interfaces again whose devices are gone. An attachment whose
// process ended is over.
func (a *Agent) mendDevices(v *vpc) error {
	devices, err := v.router.Devices()
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, peering := range v.Wanted.Peerings {
		wanted[plan.DeviceName(peering.ID)] = true
	}
	for _, attachment := range v.Wanted.TransitAttachments {
		wanted[plan.DeviceName(attachment.ID)] = true
	}
	errs := []error{}
	changed := false
	for id, attached := range v.Attachments {
		device := plan.DeviceName(id)
		wanted[device] = true
		if _, there := devices[device]; there {
			if eni, ok := eniOf(v.Wanted, id); ok && !slices.Equal(v.wired[id], ipv6Of(eni)) {
				errs = append(errs, a.wire(v, attached))
			}
			continue
		}
		if started, err := kernel.StartTime(attached.PID); err != nil || started != attached.StartTime {
			delete(v.Attachments, id)
			changed = true
			if eni, ok := eniOf(v.Wanted, id); ok {
				errs = append(errs, v.router.Forget(rangesOf(eni)))
			}
			continue
		}
		errs = append(errs, a.wire(v, attached))
	}
	for device := range devices {
		if (strings.HasPrefix(device, "eni") || strings.HasPrefix(device, "pcx") || strings.HasPrefix(device, "tgw")) && !wanted[device] {
			errs = append(errs, v.router.Detach(device))
		}
	}
	if changed {
		errs = append(errs, a.state.save(v.Wanted.ID, v))
	}
	return errors.Join(errs...)
}

// defaultMTU is AWS's own inside a VPC.
const defaultMTU = 9001

// wire makes the interface's devices.
func (a *Agent) wire(v *vpc, attached attachment) error {
	eni, ok := eniOf(v.Wanted, attached.ENI)
	if !ok {
		return nil
	}
	i := slices.IndexFunc(v.Wanted.Subnets, func(s backend.WantedSubnet) bool { return s.ID == eni.Subnet })
	subnet := v.Wanted.Subnets[i]
	wanted := kernel.Interface{
		Device: plan.DeviceName(eni.ID), Inside: fmt.Sprintf("eth%d", attached.Index), PID: attached.PID,
		Alias: eni.ID + " " + attached.Container, MAC: plan.Hardware(eni.MAC), MTU: eni.MTU,
		Router: subnet.CIDR.Addr().Next(), Default: attached.Index == 0,
	}
	if wanted.MTU == 0 {
		wanted.MTU = defaultMTU
	}
	if v.hasIPv6() {
		wanted.IPv6 = ipv6Of(eni)
	}
	for _, address := range eni.Addresses {
		if address.Is4() {
			wanted.Addresses = append(wanted.Addresses, netip.PrefixFrom(address, subnet.CIDR.Bits()))
		}
	}
	if err := v.router.Attach(wanted); err != nil {
		return fmt.Errorf("%s in %s: %w", eni.ID, attached.Container, err)
	}
	if v.wired == nil {
		v.wired = map[string][]netip.Addr{}
	}
	v.wired[eni.ID] = ipv6Of(eni)
	return nil
}

func ipv6Of(eni backend.WantedENI) (own []netip.Addr) {
	for _, address := range eni.Addresses {
		if address.Is6() {
			own = append(own, address)
		}
	}
	return own
}

// program tells the kernel addresses, routes and rules.
func (a *Agent) program(v *vpc) error {
	place := plan.Place{Subnets: v.Subnets, Attached: map[string]bool{}, Peers: map[string]bool{}, Transits: map[string]bool{}}
	if v.Own.IsValid() {
		place.Gateway, place.Own = a.options.Gateway, v.Own
		var err error
		if place.Host, err = kernel.HostAddresses(); err != nil {
			return err
		}
		if v.hasIPv6() {
			place.Gateway6, place.World = kernel.BridgeLinkLocal(a.options.Bridge), a.reaches(v)
		}
	}
	for id := range v.Attachments {
		place.Attached[id] = true
	}
	for _, peering := range v.Wanted.Peerings {
		if other := a.vpcs[peering.VPC]; other != nil && other.router != nil {
			place.Peers[peering.VPC] = true
		}
	}
	for _, attachment := range v.Wanted.TransitAttachments {
		place.Transits[attachment.Gateway] = a.transitOf(v, attachment) != nil
	}
	v.place = place
	p := plan.Of(v.Wanted, place)
	if !v.hasIPv6() {
		p.Table6 = nil
	}
	changed, err := v.router.Apply(p)
	if changed {
		v.Applied = time.Now()
	}
	return err
}
