package ec2

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	_ "embed" // the data file
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

//go:embed data/amazon_linux.json.gz
var amazonLinuxData []byte

// The publishers of public images.
// AWS: "Find an AMI" in the EC2 user guide; the Debian wiki, "Cloud/AmazonEC2Image"; Ubuntu's "Find Ubuntu images on AWS".
const (
	ownerAmazon    = "137112412989"
	ownerDebian    = "136693071363"
	ownerCanonical = "099720109477"
)

// amazonLinux is what scripts/gen-instance-types makes: the ids of Amazon Linux in every region are AWS's own.
type amazonLinux struct {
	// Regions maps a region to a parameter's last part to [AMI id, version].
	Regions map[string]map[string][2]any `json:"regions"`
	Names   map[string]string            `json:"names"`
}

var readAmazonLinux = sync.OnceValue(func() *amazonLinux {
	data := new(amazonLinux)
	unpacked, err := gzip.NewReader(bytes.NewReader(amazonLinuxData))
	if err == nil {
		err = json.NewDecoder(unpacked).Decode(data)
	}
	if err != nil {
		panic(fmt.Sprintf("ec2: data/amazon_linux.json.gz: %v", err))
	}
	return data
})

// PublicParameter is a parameter that AWS publishes in Systems Manager's parameter store, for everybody to read.
type PublicParameter struct {
	Name, Value string
	DataType    string
	Version     int64
	Modified    time.Time
}

// publicImages are the images of one region that AWS and its partners publish, and the parameters that name them.
type publicImages struct {
	byID       map[string]*image
	sorted     []*image
	parameters []PublicParameter // sorted by name
}

var publicByRegion sync.Map // region -> *publicImages

func publicImagesIn(region string) *publicImages {
	if known, ok := publicByRegion.Load(region); ok {
		return known.(*publicImages)
	}
	made, _ := publicByRegion.LoadOrStore(region, makePublicImages(region))
	return made.(*publicImages)
}

// PublicParameters answers the public parameters of a region in the order of their names. The caller must not change
// them.
func PublicParameters(region string) []PublicParameter { return publicImagesIn(region).parameters }

// imageReferences are the container images that public AMIs boot.
var imageReferences = sync.OnceValue(func() map[string]bool {
	all := map[string]bool{}
	for _, im := range publicImagesIn("us-east-1").sorted {
		for _, reference := range im.References {
			all[reference] = true
		}
	}
	return all
})

// IsImageReference tells whether a public AMI boots a container image; the simulated engine is told to have them.
func IsImageReference(reference string) bool { return imageReferences()[reference] }

// distribution is a line of images of Debian or Ubuntu.
type distribution struct {
	name        string // with %s for the architecture as the publisher names it
	description string
	owner       string
	created     time.Time
	rootDevice  string
	login       string
	references  []string
	imds        string
	// parameters are the names of the public parameters, with %s for the architecture.
	parameters []string
}

var distributions = []distribution{
	{
		name: "debian-13-%s-20251117-2299", description: "Debian 13 (20251117-2299)", owner: ownerDebian,
		created: time.Date(2025, 11, 17, 11, 41, 11, 0, time.UTC), rootDevice: "/dev/xvda", login: "admin", imds: "v2.0",
		references: []string{"mini-aws/instance:debian-13", "debian:13"},
		parameters: []string{"/aws/service/debian/release/13/latest/%s", "/aws/service/debian/release/trixie/latest/%s"},
	},
	{
		name: "debian-12-%s-20251112-2294", description: "Debian 12 (20251112-2294)", owner: ownerDebian,
		created: time.Date(2025, 11, 12, 11, 33, 27, 0, time.UTC), rootDevice: "/dev/xvda", login: "admin",
		references: []string{"mini-aws/instance:debian-12", "debian:12"},
		parameters: []string{"/aws/service/debian/release/12/latest/%s", "/aws/service/debian/release/bookworm/latest/%s"},
	},
	{
		name: "debian-11-%s-20251106-2288", description: "Debian 11 (20251106-2288)", owner: ownerDebian,
		created: time.Date(2025, 11, 6, 11, 29, 4, 0, time.UTC), rootDevice: "/dev/xvda", login: "admin",
		references: []string{"debian:11"},
		parameters: []string{"/aws/service/debian/release/11/latest/%s", "/aws/service/debian/release/bullseye/latest/%s"},
	},
	ubuntu("noble", "24.04", "hvm-ssd-gp3", "ebs-gp3", time.Date(2025, 10, 22, 9, 5, 0, 0, time.UTC)),
	ubuntu("jammy", "22.04", "hvm-ssd", "ebs-gp2", time.Date(2025, 10, 15, 8, 57, 0, 0, time.UTC)),
}

func ubuntu(series, release, storage, volume string, built time.Time) distribution {
	serial := built.Format("20060102")
	parameter := "/aws/service/canonical/ubuntu/server/%s/stable/%s/%%s/hvm/%s/ami-id"
	d := distribution{
		name:        fmt.Sprintf("ubuntu/images/%s/ubuntu-%s-%s-%%s-server-%s", storage, series, release, serial),
		description: fmt.Sprintf("Canonical, Ubuntu, %s, %%s %s image", release, series),
		owner:       ownerCanonical, created: built, rootDevice: "/dev/sda1", login: "ubuntu",
		references: []string{"ubuntu:" + release},
	}
	for _, name := range []string{release, series} {
		for _, which := range []string{"current", serial} {
			d.parameters = append(d.parameters, fmt.Sprintf(parameter, name, which, volume))
		}
	}
	return d
}

func makePublicImages(region string) *publicImages {
	public := &publicImages{byID: map[string]*image{}}
	for _, d := range distributions {
		for _, architecture := range []string{"amd64", "arm64"} {
			public.addDistribution(region, d, architecture)
		}
	}
	public.addAmazonLinux(region)
	for _, im := range public.byID {
		public.sorted = append(public.sorted, im)
	}
	slices.SortFunc(public.sorted, func(a, b *image) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(public.parameters, func(a, b PublicParameter) int { return cmp.Compare(a.Name, b.Name) })
	return public
}

// architectures are AWS's names for those of Debian and Ubuntu.
var architectures = map[string]string{"amd64": "x86_64", "arm64": "arm64"}

func (p *publicImages) addDistribution(region string, d distribution, architecture string) {
	in := func(text string) string { return strings.ReplaceAll(text, "%s", architecture) }
	im := &image{
		Name: in(d.name), Description: in(d.description), OwnerID: d.owner, OwnerAlias: "amazon",
		Architecture: architectures[architecture], Created: d.created, RootDevice: d.rootDevice, VolumeGiB: 8,
		Login: d.login, References: d.references, IMDSSupport: d.imds, Public: true, State: imageAvailable, SriovNet: true,
	}
	im.ID = publicImageID(region, im.Name)
	im.Location = "amazon/" + im.Name
	p.byID[im.ID] = im
	for _, name := range d.parameters {
		p.parameters = append(p.parameters, PublicParameter{
			Name: in(name), Value: im.ID, DataType: "aws:ec2:image", Version: 1, Modified: d.created,
		})
	}
}

// publicImageID is an id that stays the same for a name in a region.
func publicImageID(region, name string) string {
	sum := sha256.Sum256([]byte(region + "/" + name))
	return "ami-0" + hex.EncodeToString(sum[:8])
}

func (p *publicImages) addAmazonLinux(region string) {
	data := readAmazonLinux()
	for parameter, name := range data.Names {
		id, version := publicImageID(region, name), 1.0
		if real, ok := data.Regions[region][parameter]; ok {
			id, _ = real[0].(string)
			version, _ = real[1].(float64)
		}
		reference, imds := "amazonlinux:2023", "v2.0"
		if strings.HasPrefix(name, "amzn2-") {
			reference, imds = "amazonlinux:2", ""
		}
		architecture := "x86_64"
		if strings.Contains(name, "arm64") {
			architecture = "arm64"
		}
		created := time.Date(2026, 4, 27, 20, 0, 0, 0, time.UTC)
		p.byID[id] = &image{
			resource: resource{ID: id}, Name: name, Description: amazonDescription(name), OwnerID: ownerAmazon,
			OwnerAlias: "amazon", Architecture: architecture, Created: created, RootDevice: "/dev/xvda", VolumeGiB: 8,
			Login: "ec2-user", References: []string{reference}, Location: "amazon/" + name, IMDSSupport: imds, Public: true,
			State: imageAvailable, SriovNet: true,
		}
		p.parameters = append(p.parameters, PublicParameter{
			Name: "/aws/service/ami-amazon-linux-latest/" + parameter, Value: id, DataType: "text", Version: int64(version), Modified: created,
		})
	}
}

// amazonDescription is AWS's of an image of Amazon Linux 2023: "Amazon Linux 2023 AMI 2023.6.20241010.0 x86_64 HVM kernel-6.1".
func amazonDescription(name string) string {
	rest, ok := strings.CutPrefix(name, "al2023-ami-")
	version, kernel, both := strings.Cut(rest, "-kernel-")
	if !ok || !both {
		return "Amazon Linux " + strings.TrimPrefix(name, "amzn2-ami-")
	}
	version, minimal := strings.CutPrefix(version, "minimal-")
	at := strings.LastIndex(kernel, "-")
	words := []string{"Amazon Linux 2023 AMI", version, kernel[at+1:]}
	if minimal {
		words = append(words, "Minimal")
	}
	return strings.Join(append(words, "HVM", "kernel-"+kernel[:max(0, at)]), " ")
}
