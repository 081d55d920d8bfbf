package docker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"

	"miniaws/backend"
)

// Look answers what a container is made of: its image, limits, walls, files and the bytes that it wrote.
func (e *Engine) Look(ctx context.Context, id string) ([]backend.Fact, error) {
	if _, err := e.Inspect(ctx, id); err != nil {
		return nil, err
	}
	found, _, err := e.client.ContainerInspectWithRaw(ctx, e.name(id), true)
	if err != nil {
		return nil, e.failure("look", id, err)
	}
	facts := []backend.Fact{
		{Name: "image", Value: found.Config.Image + "\n" + found.Image},
		{Name: "limits", Value: limitsOf(found.HostConfig)},
		{Name: "walls", Value: wallsOf(found.HostConfig)},
	}
	if network := found.NetworkSettings; network != nil {
		text := "mode " + string(found.HostConfig.NetworkMode)
		for _, name := range slices.Sorted(maps.Keys(network.Networks)) {
			text += fmt.Sprintf("\n%s %s", name, network.Networks[name].IPAddress)
		}
		facts = append(facts, backend.Fact{Name: "network", Value: text})
	}
	root := found.Driver
	for _, name := range []string{"UpperDir", "MergedDir"} {
		if place := found.GraphDriver.Data[name]; place != "" {
			root += fmt.Sprintf("\n%s %s", name, place)
		}
	}
	if found.SizeRw != nil {
		root += fmt.Sprintf("\n%d bytes of its own", *found.SizeRw)
	}
	if found.SizeRootFs != nil {
		root += fmt.Sprintf(", %d with the image's", *found.SizeRootFs)
	}
	facts = append(facts, backend.Fact{Name: "root", Value: root})
	for _, mount := range found.Mounts {
		mode := "read-only"
		if mount.RW {
			mode = "writable"
		}
		facts = append(facts, backend.Fact{Name: "mount", Value: fmt.Sprintf("%s at %s, %s\n%s", strings.TrimSpace(string(mount.Type)+" "+mount.Name), mount.Destination, mode, mount.Source)})
	}
	return facts, nil
}

func limitsOf(host *container.HostConfig) string {
	var limits []string
	if host.NanoCPUs > 0 {
		limits = append(limits, fmt.Sprintf("%.2f CPUs", float64(host.NanoCPUs)/1e9))
	}
	if host.Memory > 0 {
		limits = append(limits, fmt.Sprintf("%d MiB of memory", host.Memory>>20))
	}
	if host.PidsLimit != nil && *host.PidsLimit > 0 {
		limits = append(limits, fmt.Sprintf("%d processes", *host.PidsLimit))
	}
	if len(limits) == 0 {
		return "none"
	}
	return strings.Join(limits, ", ")
}

func wallsOf(host *container.HostConfig) string {
	walls := []string{fmt.Sprintf("privileged: %v", host.Privileged)}
	if len(host.CapAdd) > 0 {
		walls = append(walls, "capabilities added: "+strings.Join(host.CapAdd, " "))
	}
	if len(host.CapDrop) > 0 {
		walls = append(walls, "capabilities dropped: "+strings.Join(host.CapDrop, " "))
	}
	for _, option := range host.SecurityOpt {
		name, _, _ := strings.Cut(option, "=")
		walls = append(walls, "security option: "+name) // a profile is pages long
	}
	return strings.Join(append(walls, "control groups: "+string(host.CgroupnsMode)), ", ")
}
