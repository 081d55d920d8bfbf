package ec2

import (
	"bytes"
	"compress/gzip"
	_ "embed" // the data files
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// What scripts/gen-instance-types makes.
var (
	//go:embed data/instance_types.gz
	instanceTypesData []byte
	//go:embed data/offerings.json
	offeringsData []byte
)

// typeCatalog is what AWS says of its instance types. Types are kept as text and decoded one by one, as few programs ask
// for all of them.
type typeCatalog struct {
	names []string // sorted
	texts [][]byte // of the same index: JSON of a types.InstanceTypeInfo
	// offers maps an availability zone's name or id to bits: bit i, lowest first, says that names[i] is offered there.
	offers map[string][]byte
}

var instanceTypes = sync.OnceValue(func() *typeCatalog {
	catalog := &typeCatalog{offers: map[string][]byte{}}
	unpacked, err := gzip.NewReader(bytes.NewReader(instanceTypesData))
	if err != nil {
		panic(fmt.Sprintf("ec2: data/instance_types.gz: %v", err))
	}
	text, err := io.ReadAll(unpacked)
	if err != nil {
		panic(fmt.Sprintf("ec2: data/instance_types.gz: %v", err))
	}
	for line := range bytes.Lines(text) {
		name, rest, _ := bytes.Cut(line, []byte("\t"))
		catalog.names = append(catalog.names, string(name))
		catalog.texts = append(catalog.texts, rest)
	}
	var encoded map[string]string
	if err := json.Unmarshal(offeringsData, &encoded); err != nil {
		panic(fmt.Sprintf("ec2: data/offerings.json: %v", err))
	}
	for location, bits := range encoded {
		if catalog.offers[location], err = base64.StdEncoding.DecodeString(bits); err != nil {
			panic(fmt.Sprintf("ec2: data/offerings.json: %s: %v", location, err))
		}
	}
	return catalog
})

// find answers what AWS says of the type.
func (c *typeCatalog) find(name string) (*types.InstanceTypeInfo, bool) {
	i, ok := slices.BinarySearch(c.names, name)
	if !ok {
		return nil, false
	}
	return c.decode(i), true
}

func (c *typeCatalog) decode(i int) *types.InstanceTypeInfo {
	info := new(types.InstanceTypeInfo)
	if err := json.Unmarshal(c.texts[i], info); err != nil {
		panic(fmt.Sprintf("ec2: data/instance_types.gz: %s: %v", c.names[i], err))
	}
	return info
}

// zoneOf tells whether the location, an availability zone's name or id, belongs to the region; names of zones are the
// region's and a letter.
func zoneOf(location, region string) bool {
	letter, ok := strings.CutPrefix(location, region)
	return ok && len(letter) == 1
}

// offered tells whether the type is to be had in the location: a zone's name or id, or a region.
func (c *typeCatalog) offered(i int, location string) bool {
	if bits, ok := c.offers[location]; ok {
		return bits[i/8]&(1<<(i%8)) != 0
	}
	for zone, bits := range c.offers {
		if zoneOf(zone, location) && bits[i/8]&(1<<(i%8)) != 0 {
			return true
		}
	}
	return false
}

// knows tells whether there are offerings of the location at all.
func (c *typeCatalog) knows(location string) bool {
	for zone := range c.offers {
		if zone == location || zoneOf(zone, location) {
			return true
		}
	}
	return false
}

// offeredIn is offered by the type's name. A region or zone of which nothing is known offers everything, as ours may
// have other zones than AWS.
func (c *typeCatalog) offeredIn(name, location string) bool {
	i, ok := slices.BinarySearch(c.names, name)
	return ok && (!c.knows(location) || c.offered(i, location))
}

// decoded are the types that were asked for one by one; they must not be changed.
var decoded sync.Map // name -> *types.InstanceTypeInfo

// findCached is find for readers who change nothing.
func (c *typeCatalog) findCached(name string) (*types.InstanceTypeInfo, bool) {
	if known, ok := decoded.Load(name); ok {
		return known.(*types.InstanceTypeInfo), true
	}
	info, ok := c.find(name)
	if ok {
		decoded.Store(name, info)
	}
	return info, ok
}
