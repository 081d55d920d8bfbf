package ssm

import (
	"context"
	"crypto/md5" //nolint:gosec // what ContentHash is
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// inventoryItem is what PutInventory said of one type in one instance, or a part of it: a record has little room.
type inventoryItem struct {
	Instance, Type         string
	Part                   int
	Schema, Captured, Hash string
	Content                []map[string]string `json:",omitempty"`
}

var inventoryItems = store.NewTable(store.Spec[inventoryItem]{
	Service: "ssm", Name: "inventory", ID: func(i *inventoryItem) store.ID { return store.ID{i.Instance, i.Type, partName(i.Part)} },
})

func partName(part int) string { return fmt.Sprintf("%04d", part) }

// customSchema is a type that PutInventory brought along.
type customSchema struct {
	Type, Version string
	Attributes    []string
	// Disabled tells that what is put with this version or an older one is ignored.
	Disabled bool `json:",omitempty"`
}

var customSchemas = store.NewTable(store.Spec[customSchema]{
	Service: "ssm", Name: "inventory-schemas", ID: func(c *customSchema) store.ID { return store.ID{c.Type} },
})

// inventoryDeletion is one call of DeleteInventory.
type inventoryDeletion struct {
	ID, Type, Version string
	At                time.Time
	Count             int32
}

var inventoryDeletions = store.NewTable(store.Spec[inventoryDeletion]{
	Service: "ssm", Name: "inventory-deletions", ID: func(d *inventoryDeletion) store.ID { return store.ID{d.ID} },
})

const (
	// informationType is known of every instance without anybody putting it.
	informationType = "AWS:InstanceInformation"
	// AWS: "AWS Systems Manager endpoints and quotas": an item has at most 1 MB, an account 20 custom types.
	maxInventoryItem   = 1 << 20
	maxCustomTypes     = 20
	maxItemAttributes  = 50
	inventoryPart      = 40 << 10 // bytes of a record
	inventoryTime      = "2006-01-02T15:04:05Z"
	informationVersion = "1.0"
)

// inventorySchemas are the attributes of AWS's own types, with their versions.
// AWS: "Metadata collected by inventory".
var inventorySchemas = map[string]struct {
	version    string
	attributes []string
}{
	"AWS:AWSComponent":                {"1.0", []string{"Name", "ApplicationType", "Publisher", "Version", "InstalledTime", "Architecture", "URL"}},
	"AWS:Application":                 {"1.1", []string{"Name", "ApplicationType", "Publisher", "Version", "Release", "Epoch", "InstalledTime", "Architecture", "URL", "Summary", "PackageId"}},
	"AWS:File":                        {"1.0", []string{"Name", "Size", "Description", "FileVersion", "InstalledDate", "ModificationTime", "LastAccessTime", "ProductName", "InstalledDir", "ProductLanguage", "CompanyName", "ProductVersion"}},
	"AWS:InstanceDetailedInformation": {"1.0", []string{"CPUModel", "CPUs", "CPUSpeedMHz", "CPUSockets", "CPUCores", "CPUHyperThreadEnabled", "OSServicePack", "KernelVersion"}},
	informationType:                   {informationVersion, []string{"AgentType", "AgentVersion", "ComputerName", "InstanceId", "InstanceStatus", "IpAddress", "PlatformName", "PlatformType", "PlatformVersion", "ResourceType"}},
	"AWS:Network":                     {"1.0", []string{"Name", "SubnetMask", "Gateway", "DHCPServer", "DNSServer", "MacAddress", "IPV4", "IPV6"}},
	"AWS:Service":                     {"1.0", []string{"Name", "DisplayName", "ServiceType", "Status", "DependentServices", "ServicesDependedOn", "StartType"}},
	"AWS:Tag":                         {"1.0", []string{"Key", "Value"}},
	"AWS:WindowsRegistry":             {"1.0", []string{"KeyPath", "ValueName", "ValueType", "Value"}},
	"AWS:WindowsRole":                 {"1.0", []string{"Name", "DisplayName", "Path", "FeatureType", "DependsOn", "Description", "Installed", "InstalledState", "SubFeatures", "ServerComponentDescriptor", "Parent"}},
	"AWS:WindowsUpdate":               {"1.0", []string{"HotFixId", "Description", "InstalledTime", "InstalledBy"}},
}

// putInventoryAccess knows the types.
func putInventoryAccess(_ context.Context, in *api.PutInventoryInput) ([]awsapi.Access, error) {
	access := awsapi.Access{Action: "ssm:PutInventory", Conditions: map[string][]string{}}
	for _, item := range in.Items {
		access.Conditions["ssm:InventoryTypeName"] = append(access.Conditions["ssm:InventoryTypeName"], aws.ToString(item.TypeName))
	}
	return []awsapi.Access{access}, nil
}

// PutInventory writes down what an instance, or whoever may, says of it: each item replaces the one of its type.
func (s *Service) PutInventory(ctx context.Context, in *api.PutInventoryInput) (*api.PutInventoryOutput, error) {
	c := callOf(ctx)
	_, ok, err := s.machine(ctx, c, *in.InstanceId)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errInvalidInstance(*in.InstanceId, c.scope.Account)
	}
	return &api.PutInventoryOutput{}, s.config.DB.Update(ctx, func(t store.Tx) error {
		for _, item := range in.Items {
			if err := putItem(t, c.scope, *in.InstanceId, item); err != nil {
				return err
			}
		}
		return nil
	})
}

func putItem(t store.Tx, scope store.Scope, instance string, item types.InventoryItem) error {
	name, version := *item.TypeName, *item.SchemaVersion
	if known, own := inventorySchemas[name]; own {
		switch {
		case name == informationType:
			return errInvalidTypeName()
		case version != known.version && version != informationVersion:
			return errUnsupportedInventoryVersion()
		}
	} else if ignored, err := putSchema(t, scope, item); ignored || err != nil {
		return err
	}
	text, err := json.Marshal(item.Content)
	if err != nil {
		return err
	}
	if len(text) > maxInventoryItem {
		return errItemSize()
	}
	if item.Content == nil && item.ContentHash == nil {
		return errItemContent()
	}
	rows := inventoryItems.In(t, scope)
	had, _, err := rows.List(store.Query{Parts: store.ID{instance, name}})
	if err != nil {
		return err
	}
	if item.Content == nil { // a content that was put before, known by its hash
		if len(had) == 0 || had[0].Hash != *item.ContentHash {
			return errItemMismatch()
		}
		had[0].Captured = *item.CaptureTime
		return rows.Put(had[0])
	}
	sum := md5.Sum(text) //nolint:gosec // AWS: "InventoryItem", ContentHash: an MD5 hash
	hash := hex.EncodeToString(sum[:])
	if len(had) > 0 && had[0].Hash == hash && had[0].Schema == version {
		had[0].Captured = *item.CaptureTime
		return rows.Put(had[0])
	}
	for _, old := range had {
		if err := rows.Delete(old.Instance, old.Type, partName(old.Part)); err != nil {
			return err
		}
	}
	part := &inventoryItem{Instance: instance, Type: name, Schema: version, Captured: *item.CaptureTime, Hash: hash}
	room := inventoryPart
	for _, entry := range item.Content {
		size, err := json.Marshal(entry)
		if err != nil {
			return err
		}
		if len(size) > inventoryPart {
			return errItemSize()
		}
		if room -= len(size) + 1; room < 0 {
			if err := rows.Insert(part); err != nil {
				return err
			}
			next := *part
			next.Part, next.Content = part.Part+1, nil
			part, room = &next, inventoryPart-len(size)-1
		}
		part.Content = append(part.Content, entry)
	}
	return rows.Insert(part)
}

// putSchema notes the attributes of a custom type. It answers true where what is put is to be ignored.
func putSchema(t store.Tx, scope store.Scope, item types.InventoryItem) (ignored bool, err error) {
	name := *item.TypeName
	if rest, custom := strings.CutPrefix(name, "Custom:"); !custom || rest == "" {
		return false, errInvalidTypeName()
	}
	rows := customSchemas.In(t, scope)
	have, err := rows.Find(name)
	if err != nil {
		return false, err
	}
	if have == nil {
		all, _, err := rows.List(store.Query{Limit: maxCustomTypes})
		if err != nil {
			return false, err
		}
		if len(all) >= maxCustomTypes {
			return false, errTooManyCustomTypes()
		}
		have = &customSchema{Type: name}
	}
	if have.Disabled && !newer(*item.SchemaVersion, have.Version) {
		return true, nil
	}
	have.Version, have.Disabled = *item.SchemaVersion, false
	for _, entry := range item.Content {
		for key := range entry {
			if !slices.Contains(have.Attributes, key) {
				have.Attributes = append(have.Attributes, key)
			}
		}
	}
	slices.Sort(have.Attributes)
	if len(have.Attributes) > maxItemAttributes {
		return false, errItemContent()
	}
	return false, rows.Put(have)
}

// newer tells whether a version, such as 1.2, comes after another.
func newer(a, b string) bool {
	number := func(text string) (n int) {
		major, minor, _ := strings.Cut(text, ".")
		x, _ := strconv.Atoi(major) // the pattern of versions was checked
		y, _ := strconv.Atoi(minor)
		return x*1_000_000 + y
	}
	return number(a) > number(b)
}

// knownType tells whether a type is AWS's or one that was put.
func knownType(t store.Tx, scope store.Scope, name string) (version string, err error) {
	if known, ok := inventorySchemas[name]; ok {
		return known.version, nil
	}
	custom, err := customSchemas.In(t, scope).Find(name)
	if custom == nil && err == nil {
		err = errInvalidTypeName()
	}
	if err != nil {
		return "", err
	}
	return custom.Version, nil
}

// information is what is known of every instance.
func (s *Service) information(m Machine) *inventoryItem {
	shown := s.machineToAPI(m)
	status := "Active"
	switch {
	case !m.Running:
		status = "Stopped"
	case shown.PingStatus != types.PingStatusOnline:
		status = "ConnectionLost"
	}
	return &inventoryItem{
		Instance: m.ID, Type: informationType, Schema: informationVersion, Captured: shown.LastPingDateTime.UTC().Format(inventoryTime),
		Content: []map[string]string{{
			"AgentType": "amazon-ssm-agent", "AgentVersion": agentVersion, "ComputerName": m.Name, "InstanceId": m.ID, "InstanceStatus": status, "IpAddress": m.Address,
			"PlatformName": m.Platform, "PlatformType": string(types.PlatformTypeLinux), "ResourceType": string(types.ResourceTypeEc2Instance),
		}},
	}
}

// itemOf answers what is known of a type in an instance, nil for nothing.
func (s *Service) itemOf(t store.Tx, scope store.Scope, m Machine, name string) (*inventoryItem, error) {
	if name == informationType {
		return s.information(m), nil
	}
	parts, _, err := inventoryItems.In(t, scope).List(store.Query{Parts: store.ID{m.ID, name}})
	if err != nil || len(parts) == 0 {
		return nil, err
	}
	whole := *parts[0]
	for _, p := range parts[1:] {
		whole.Content = append(slices.Clone(whole.Content), p.Content...)
	}
	return &whole, nil
}

// ListInventoryEntries lists what is known of one type in one instance.
func (s *Service) ListInventoryEntries(ctx context.Context, in *api.ListInventoryEntriesInput) (*api.ListInventoryEntriesOutput, error) {
	c := callOf(ctx)
	after, limit, err := page(in.NextToken, in.MaxResults, 50)
	if err != nil {
		return nil, err
	}
	m, ok, err := s.machine(ctx, c, *in.InstanceId)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errInvalidInstance(*in.InstanceId, c.scope.Account)
	}
	out := &api.ListInventoryEntriesOutput{}
	return out, s.config.DB.View(ctx, func(t store.Tx) error {
		version, err := knownType(t, c.scope, *in.TypeName)
		if err != nil {
			return err
		}
		*out = api.ListInventoryEntriesOutput{InstanceId: in.InstanceId, TypeName: in.TypeName, SchemaVersion: aws.String(version), Entries: []map[string]string{}}
		item, err := s.itemOf(t, c.scope, m, *in.TypeName)
		if item == nil || err != nil {
			return err
		}
		out.SchemaVersion, out.CaptureTime = aws.String(item.Schema), aws.String(item.Captured)
		first, _ := strconv.Atoi(after) // ours, or 0
		for i, entry := range item.Content {
			if i < first {
				continue
			}
			passes := true
			for _, f := range in.Filters {
				one, err := passesFilter(f, entry[aws.ToString(f.Key)], hasKey(entry, aws.ToString(f.Key)))
				if err != nil {
					return err
				}
				passes = passes && one
			}
			if !passes {
				continue
			}
			if len(out.Entries) == limit {
				out.NextToken = token(strconv.Itoa(i))
				break
			}
			out.Entries = append(out.Entries, entry)
		}
		return nil
	})
}

func hasKey(entry map[string]string, key string) bool {
	_, ok := entry[key]
	return ok
}

// passesFilter tells whether a value passes. AWS: "InventoryFilter".
func passesFilter(f types.InventoryFilter, value string, there bool) (bool, error) {
	matches := func(test func(wanted string) bool) bool { return there && slices.ContainsFunc(f.Values, test) }
	switch f.Type {
	case "", types.InventoryQueryOperatorTypeEqual:
		return matches(func(wanted string) bool { return value == wanted }), nil
	case types.InventoryQueryOperatorTypeNotEqual:
		return !matches(func(wanted string) bool { return value == wanted }), nil
	case types.InventoryQueryOperatorTypeBeginWith:
		return matches(func(wanted string) bool { return strings.HasPrefix(value, wanted) }), nil
	case types.InventoryQueryOperatorTypeLessThan:
		return matches(func(wanted string) bool { return value < wanted }), nil
	case types.InventoryQueryOperatorTypeGreaterThan:
		return matches(func(wanted string) bool { return value > wanted }), nil
	case types.InventoryQueryOperatorTypeExists:
		return there, nil
	}
	return false, errInvalidInventoryFilter()
}

// GetInventory lists instances with what is known of them: of the type that is asked for, else what is known of all.
func (s *Service) GetInventory(ctx context.Context, in *api.GetInventoryInput) (*api.GetInventoryOutput, error) {
	c := callOf(ctx)
	if len(in.Aggregators) > 0 {
		return nil, errNotImplemented("aggregators of GetInventory")
	}
	after, limit, err := page(in.NextToken, in.MaxResults, 50)
	if err != nil {
		return nil, err
	}
	all, err := s.machines(ctx, c)
	if err != nil {
		return nil, err
	}
	wanted := informationType
	if len(in.ResultAttributes) > 0 {
		wanted = aws.ToString(in.ResultAttributes[0].TypeName)
	}
	out := &api.GetInventoryOutput{}
	return out, s.config.DB.View(ctx, func(t store.Tx) error {
		out.Entities, out.NextToken = []types.InventoryResultEntity{}, nil
		if _, err := knownType(t, c.scope, wanted); err != nil {
			return errInvalidResultAttribute()
		}
		for _, m := range all {
			passes, err := s.inventoryPasses(t, c.scope, m, in.Filters)
			if err != nil {
				return err
			}
			if !passes || m.ID <= after {
				continue
			}
			if n := len(out.Entities); n == limit {
				out.NextToken = token(aws.ToString(out.Entities[n-1].Id))
				break
			}
			entity := types.InventoryResultEntity{Id: aws.String(m.ID), Data: map[string]types.InventoryResultItem{}}
			item, err := s.itemOf(t, c.scope, m, wanted)
			if err != nil {
				return err
			}
			if item != nil {
				entity.Data[wanted] = types.InventoryResultItem{
					TypeName: aws.String(wanted), SchemaVersion: aws.String(item.Schema), CaptureTime: aws.String(item.Captured), ContentHash: optional(item.Hash), Content: item.Content,
				}
			}
			out.Entities = append(out.Entities, entity)
		}
		return nil
	})
}

// inventoryPasses tells whether an instance passes filters on TYPE.ATTRIBUTE: some entry of the type has such a value.
func (s *Service) inventoryPasses(t store.Tx, scope store.Scope, m Machine, filters []types.InventoryFilter) (bool, error) {
	for _, f := range filters {
		key := aws.ToString(f.Key)
		name, attribute, ok := strings.Cut(key, ".")
		if !ok {
			return false, errInvalidInventoryFilter()
		}
		if _, err := knownType(t, scope, name); err != nil {
			return false, errInvalidInventoryFilter()
		}
		item, err := s.itemOf(t, scope, m, name)
		if err != nil {
			return false, err
		}
		entries := []map[string]string{{}}
		if item != nil && len(item.Content) > 0 {
			entries = item.Content
		}
		found := false
		for _, entry := range entries {
			one, err := passesFilter(f, entry[attribute], hasKey(entry, attribute))
			if err != nil {
				return false, err
			}
			found = found || one
		}
		if !found {
			return false, nil
		}
	}
	return true, nil
}

// GetInventorySchema lists the types: AWS's and those that were put.
func (s *Service) GetInventorySchema(ctx context.Context, in *api.GetInventorySchemaInput) (*api.GetInventorySchemaOutput, error) {
	c := callOf(ctx)
	after, limit, err := page(in.NextToken, in.MaxResults, 200)
	if err != nil {
		return nil, err
	}
	out := &api.GetInventorySchemaOutput{}
	return out, s.config.DB.View(ctx, func(t store.Tx) error {
		out.Schemas, out.NextToken = []types.InventoryItemSchema{}, nil
		schemas := map[string]types.InventoryItemSchema{}
		add := func(name, version string, attributes []string) {
			made := types.InventoryItemSchema{TypeName: aws.String(name), Version: aws.String(version), Attributes: []types.InventoryItemAttribute{}}
			for _, a := range attributes {
				made.Attributes = append(made.Attributes, types.InventoryItemAttribute{Name: aws.String(a), DataType: types.InventoryAttributeDataTypeString})
			}
			schemas[name] = made
		}
		for name, known := range inventorySchemas {
			add(name, known.version, known.attributes)
		}
		custom, _, err := customSchemas.In(t, c.scope).List(store.Query{})
		if err != nil {
			return err
		}
		for _, schema := range custom {
			if !schema.Disabled {
				add(schema.Type, schema.Version, schema.Attributes)
			}
		}
		wanted := aws.ToString(in.TypeName)
		for _, name := range slices.Sorted(maps.Keys(schemas)) {
			if name <= after || !strings.HasPrefix(name, wanted) {
				continue
			}
			if n := len(out.Schemas); n == limit {
				out.NextToken = token(aws.ToString(out.Schemas[n-1].TypeName))
				break
			}
			out.Schemas = append(out.Schemas, schemas[name])
		}
		return nil
	})
}

// DeleteInventory removes what was put of a custom type, and the type or what is yet to be put of it.
func (s *Service) DeleteInventory(ctx context.Context, in *api.DeleteInventoryInput) (*api.DeleteInventoryOutput, error) {
	c := callOf(ctx)
	if in.SchemaDeleteOption != "" && !slices.Contains(in.SchemaDeleteOption.Values(), in.SchemaDeleteOption) {
		return nil, errInvalidDeleteOption()
	}
	if !strings.HasPrefix(*in.TypeName, "Custom:") {
		return nil, errInvalidTypeName()
	}
	out := &api.DeleteInventoryOutput{TypeName: in.TypeName}
	return out, s.config.DB.Update(ctx, func(t store.Tx) error {
		schema, err := customSchemas.In(t, c.scope).Find(*in.TypeName)
		if err != nil {
			return err
		}
		if schema == nil {
			return errInvalidTypeName()
		}
		made := &inventoryDeletion{ID: newUUID(), Type: schema.Type, Version: schema.Version, At: c.now}
		rows := inventoryItems.In(t, c.scope)
		all, _, err := rows.List(store.Query{})
		if err != nil {
			return err
		}
		for _, item := range all {
			if item.Type != schema.Type {
				continue
			}
			if item.Part == 0 {
				made.Count++
			}
			if !in.DryRun {
				if err := rows.Delete(item.Instance, item.Type, fmt.Sprintf("%04d", item.Part)); err != nil {
					return err
				}
			}
		}
		out.DeletionSummary = made.summary(made.Count)
		if in.DryRun {
			return nil
		}
		out.DeletionId = aws.String(made.ID)
		switch in.SchemaDeleteOption {
		case types.InventorySchemaDeleteOptionDeleteSchema:
			err = customSchemas.In(t, c.scope).Delete(schema.Type)
		case types.InventorySchemaDeleteOptionDisableSchema:
			schema.Disabled = true
			err = customSchemas.In(t, c.scope).Put(schema)
		}
		if err != nil {
			return err
		}
		return inventoryDeletions.In(t, c.scope).Insert(made)
	})
}

func (d *inventoryDeletion) summary(left int32) *types.InventoryDeletionSummary {
	return &types.InventoryDeletionSummary{
		TotalCount: d.Count, RemainingCount: left,
		SummaryItems: []types.InventoryDeletionSummaryItem{{Version: aws.String(d.Version), Count: d.Count, RemainingCount: left}},
	}
}

// DescribeInventoryDeletions lists deletions: they are complete when the call that asked for them is.
func (s *Service) DescribeInventoryDeletions(ctx context.Context, in *api.DescribeInventoryDeletionsInput) (*api.DescribeInventoryDeletionsOutput, error) {
	c := callOf(ctx)
	after, limit, err := page(in.NextToken, in.MaxResults, 50)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeInventoryDeletionsOutput{}
	return out, s.config.DB.View(ctx, func(t store.Tx) error {
		out.InventoryDeletions, out.NextToken = []types.InventoryDeletionStatusItem{}, nil
		all, _, err := inventoryDeletions.In(t, c.scope).List(store.Query{})
		if err != nil {
			return err
		}
		found := false
		for _, d := range all {
			if in.DeletionId != nil && d.ID != *in.DeletionId {
				continue
			}
			found = true
			if d.ID <= after {
				continue
			}
			if n := len(out.InventoryDeletions); n == limit {
				out.NextToken = token(aws.ToString(out.InventoryDeletions[n-1].DeletionId))
				break
			}
			out.InventoryDeletions = append(out.InventoryDeletions, types.InventoryDeletionStatusItem{
				DeletionId: aws.String(d.ID), TypeName: aws.String(d.Type), DeletionStartTime: aws.Time(d.At), LastStatus: types.InventoryDeletionStatusComplete,
				LastStatusMessage: aws.String("Deletion is successful"), LastStatusUpdateTime: aws.Time(d.At), DeletionSummary: d.summary(0),
			})
		}
		if in.DeletionId != nil && !found {
			return errInvalidDeletionID()
		}
		return nil
	})
}
