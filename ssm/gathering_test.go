package ssm

import (
	"maps"
	"strings"
	"testing"
)

// TestListsHaveAllFields: each line of either list has as many fields as are read.
func TestListsHaveAllFields(t *testing.T) {
	for manager, want := range map[string]int{"dpkg-query -W": len(packageFields) + 1, "rpm -qa": len(packageFields)} {
		_, rest, _ := strings.Cut(listPackages, manager)
		line, _, _ := strings.Cut(rest, `\n'`)
		if got := strings.Count(line, "\x1f"); got != want {
			t.Errorf("%s: %d fields instead of %d", manager, got, want)
		}
	}
}

func TestPackagesOf(t *testing.T) {
	const sep = "\x1f"
	debian := "dpkg\n" +
		"installed" + sep + "bash" + sep + "5.2.15-2+b7" + sep + sep + sep + "amd64" + sep + "Matthias Klose <doko@debian.org>" + sep + "shells" + sep + "http://tiswww.case.edu/" + sep + "GNU Bourne Again SHell" + sep + "bash_5.2.15-2+b7_amd64.deb" + sep + sep + "\n" +
		"config-files" + sep + "gone" + sep + "1" + sep + sep + sep + "all" + sep + "x" + sep + "x" + sep + "x" + sep + "x" + sep + "gone_1_all.deb" + sep + sep + "\n" +
		"installed" + sep + "libc6" + sep + "1:2.36" + sep + sep + sep + "amd64" + sep + "G" + sep + "libs" + sep + sep + "GNU C Library" + sep + "libc6_1:2.36_amd64.deb" + sep + sep + "\n" +
		"installed" + sep + "cut" + sep + "cu"
	for name, c := range map[string]struct {
		text string
		want []map[string]string
	}{
		"dpkg": {debian, []map[string]string{
			{"Name": "bash", "Version": "5.2.15-2+b7", "Architecture": "x86_64", "Publisher": "Matthias Klose <doko@debian.org>", "ApplicationType": "shells",
				"URL": "http://tiswww.case.edu/", "Summary": "GNU Bourne Again SHell", "PackageId": "bash_5.2.15-2+b7_amd64.deb"},
			{"Name": "libc6", "Version": "1:2.36", "Architecture": "x86_64", "Publisher": "G", "ApplicationType": "libs", "Summary": "GNU C Library", "PackageId": "libc6_1:2.36_amd64.deb"},
		}},
		"rpm": {"rpm\nzlib" + sep + "1.2.11" + sep + "33.amzn2023" + sep + "(none)" + sep + "x86_64" + sep + "Amazon Linux" + sep + "Unspecified" + sep + "https://zlib.net" + sep + "Compression" + sep + "zlib-1.2.11-33.amzn2023.src.rpm" + sep + "1700000000" + sep + "\n", []map[string]string{
			{"Name": "zlib", "Version": "1.2.11", "Release": "33.amzn2023", "Architecture": "x86_64", "Publisher": "Amazon Linux", "ApplicationType": "Unspecified", "URL": "https://zlib.net",
				"Summary": "Compression", "PackageId": "zlib-1.2.11-33.amzn2023.src.rpm", "InstalledTime": "2023-11-14T22:13:20Z"},
		}},
		"neither": {"none\n", nil},
		"nothing": {"", nil},
	} {
		got := packagesOf(c.text)
		if len(got) != len(c.want) || (got == nil) != (c.want == nil) {
			t.Errorf("%s: %v", name, got)
			continue
		}
		for i := range got {
			if !maps.Equal(got[i], c.want[i]) {
				t.Errorf("%s: %v\nwant %v", name, got[i], c.want[i])
			}
		}
	}
}
