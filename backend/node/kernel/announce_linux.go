package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// announce tells everybody on the device's link that the address is here now: whoever knew it elsewhere learns at once
// (a gratuitous ARP request). It runs in the device's namespace.
func announce(device *net.Interface, address netip.Addr) (err error) {
	protocol := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ARP))
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(protocol))
	if err != nil {
		return fmt.Errorf("announce %s: %w", address, err)
	}
	defer func() { err = errors.Join(err, unix.Close(socket)) }()
	everybody := net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	frame := append(append([]byte{}, everybody...), device.HardwareAddr...)
	frame = binary.BigEndian.AppendUint16(frame, unix.ETH_P_ARP)
	frame = append(frame, 0, 1, 8, 0, 6, 4, 0, 1) // Ethernet, IPv4, their lengths, request
	frame = append(append(frame, device.HardwareAddr...), address.AsSlice()...)
	frame = append(append(frame, make([]byte, 6)...), address.AsSlice()...)
	return unix.Sendto(socket, frame, 0, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: device.Index, Halen: 6, Addr: [8]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}})
}
