package ssm

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"miniaws/backend/guestlink"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// gatheringKind is the kind of work of the reconcile loop: the inventory of an instance, by its id.
const gatheringKind = "ssm.inventory"

const (
	applicationType = "AWS:Application"
	// gatherAfter is how long an instance that came up is left alone, gatherEvery how old what is known may become.
	// AWS: "Configuring inventory collection": every 30 minutes, as its quick setup has it.
	gatherAfter, gatherEvery = 15 * time.Second, 30 * time.Minute
	gatherPatience           = time.Minute
	maxPackages              = 4 << 20 // bytes of the list
	maxComplaint             = 200     // bytes of what an instance says about it that get into the log
)

// packageFields are the attributes in the lines that listPackages prints, in their order. They end with a separator.
var packageFields = []string{"Name", "Version", "Release", "Epoch", "Architecture", "Publisher", "ApplicationType", "URL", "Summary", "PackageId", "InstalledTime"}

// listPackages asks the package manager of the system. Fields are separated by the unit separator; its first line names the
// manager. The attributes of dpkg's packages are those that AWS's agent gathers (amazon-ssm-agent,
// agent/plugins/inventory/gatherers/application): the whole version, and neither release, epoch nor time of installation.
var listPackages = strings.ReplaceAll(`if [ -e /var/lib/dpkg/status ] && command -v dpkg-query >/dev/null; then
echo dpkg
dpkg-query -W -f '${db:Status-Status}\037${Package}\037${Version}\037\037\037${Architecture}\037${Maintainer}\037${Section}\037${Homepage}\037${binary:Summary}\037${Package}_${Version}_${Architecture}.deb\037\037\n'
elif command -v rpm >/dev/null; then
echo rpm
rpm -qa --qf '%{NAME}\037%{VERSION}\037%{RELEASE}\037%{EPOCH}\037%{ARCH}\037%{VENDOR}\037%{GROUP}\037%{URL}\037%{SUMMARY}\037%{SOURCERPM}\037%{INSTALLTIME}\037\n'
else
echo none
fi
`, `\037`, "\x1f")

// gatherLater has the packages of an instance looked at, some time after its link came up.
func (s *Service) gatherLater(ctx context.Context, instance string) error {
	account, region, ok, err := s.config.Home(ctx, instance)
	if !ok || err != nil {
		return err
	}
	return s.config.DB.Update(ctx, func(t store.Tx) error {
		return reconcile.WantAfter(t, reconcile.Item{Kind: gatheringKind, Account: account, Region: region, ID: instance}, gatherAfter)
	})
}

// reconcileInventory looks at the packages of an instance, and again after a while as long as it is there. What was known of
// one that ended goes.
func (s *Service) reconcileInventory(ctx context.Context, item reconcile.Item) (time.Duration, error) {
	scope := store.Scope{Account: item.Account, Region: item.Region}
	m, ok, err := s.machine(ctx, call{scope: scope}, item.ID)
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, s.config.DB.Update(ctx, func(t store.Tx) error { return forgetItems(t, scope, item.ID) })
	}
	name := "inventory:" + item.ID
	if s.runs.Running(name) {
		return time.Minute, nil
	}
	if !s.connected(m) {
		return gatherEvery, nil // the next link brings it back sooner
	}
	known, err := s.captured(ctx, scope, m)
	if err != nil {
		return 0, err
	}
	// Whoever puts this type may name any time.
	if left := min(gatherEvery-time.Since(known), gatherEvery); left > 0 {
		return left, nil
	}
	s.runs.Start(s.config.Links, name, guestlink.Command{
		Instance: item.ID, User: "root", Line: "LC_ALL=C /bin/sh -s", Input: []byte(listPackages), Timeout: gatherPatience, MaxOutput: maxPackages,
	}, func(r guestlink.Result) {
		if err := errors.Join(r.Err, s.putPackages(scope, item.ID, r)); err != nil {
			slog.Info("the packages of an instance are not known", "instance", item.ID, "error", err)
		}
	})
	return gatherEvery, nil
}

// captured is when the packages of an instance were looked at last.
func (s *Service) captured(ctx context.Context, scope store.Scope, m Machine) (at time.Time, err error) {
	err = s.config.DB.View(ctx, func(t store.Tx) error {
		item, err := s.itemOf(t, scope, m, applicationType)
		if item == nil || err != nil {
			return err
		}
		at, err = time.Parse(inventoryTime, item.Captured)
		return err
	})
	return at, err
}

func forgetItems(t store.Tx, scope store.Scope, instance string) error {
	rows := inventoryItems.In(t, scope)
	all, _, err := rows.List(store.Query{Parts: store.ID{instance}})
	for _, one := range all {
		err = errors.Join(err, rows.Delete(one.Instance, one.Type, partName(one.Part)))
	}
	return err
}

// putPackages writes down what listPackages printed.
func (s *Service) putPackages(scope store.Scope, instance string, r guestlink.Result) error {
	if r.Err != nil || r.ExitCode != 0 || r.TimedOut {
		return errors.New("the list did not come to its end: " + strings.TrimSpace(string(r.Errors[max(0, len(r.Errors)-maxComplaint):])))
	}
	found := packagesOf(string(r.Output))
	if found == nil {
		return nil // a system without a package manager that is known: nobody can say
	}
	item := types.InventoryItem{
		TypeName: aws.String(applicationType), SchemaVersion: aws.String(inventorySchemas[applicationType].version), Content: found,
		CaptureTime: aws.String(time.Now().UTC().Format(inventoryTime)),
	}
	return s.config.DB.Update(context.Background(), func(t store.Tx) error { return putItem(t, scope, instance, item) })
}

// packagesOf reads what listPackages printed; nil where no package manager answered.
func packagesOf(text string) []map[string]string {
	manager, rest, _ := strings.Cut(text, "\n")
	if manager != "dpkg" && manager != "rpm" {
		return nil
	}
	all := []map[string]string{}
	for line := range strings.Lines(rest) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\x1f")
		if manager == "dpkg" {
			if fields[0] != "installed" {
				continue
			}
			fields = fields[1:]
		}
		if len(fields) != len(packageFields)+1 {
			continue // a line that was cut
		}
		one := map[string]string{}
		for i, name := range packageFields {
			if value := fields[i]; value != "" && value != "(none)" {
				one[name] = value
			}
		}
		if name, ok := architectures[one["Architecture"]]; ok {
			one["Architecture"] = name
		}
		if at := parseUnix(one["InstalledTime"]); at.IsZero() {
			delete(one, "InstalledTime")
		} else {
			one["InstalledTime"] = at.Format(inventoryTime)
		}
		all = append(all, one)
	}
	return all
}

// architectures are those that the inventory names otherwise than the package managers.
var architectures = map[string]string{"amd64": "x86_64", "386": "i386"}

func parseUnix(text string) time.Time {
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds <= 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}
