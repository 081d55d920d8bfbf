package s3

import (
	"context"
	"encoding/json"
	"strconv"

	"miniaws/backend/store"
)

// setting is one part of a bucket's sub-resource.
type setting struct {
	Bucket, Kind string
	// ID tells configurations of one kind apart, such as inventories; empty for kinds that a bucket has once.
	ID string `json:",omitempty"`
	// Part counts from "0": one record of the store holds little, a lifecycle of 1,000 rules does not fit.
	Part string
	// Value is a piece of the JSON of the SDK's type.
	Value []byte
}

// settingPart is how many bytes of JSON a record holds: base64 in JSON makes them a third longer.
const settingPart = 36 << 10

var settings = store.NewTable(store.Spec[setting]{
	Service: "s3",
	Name:    "settings",
	ID:      func(v *setting) store.ID { return settingID(v.Bucket, v.Kind, v.ID, v.Part) },
})

func settingID(bucket, kind, id, part string) store.ID { return store.ID{bucket, kind, id, part} }

// Kinds of settings.
const (
	kindTags          = "tags"
	kindPolicy        = "policy"
	kindCORS          = "cors"
	kindLifecycle     = "lifecycle"
	kindWebsite       = "website"
	kindLogging       = "logging"
	kindNotifications = "notifications"
	kindReplication   = "replication"
	kindInventory     = "inventory"
	kindAnalytics     = "analytics"
	kindMetrics       = "metrics"
	kindTiering       = "intelligent-tiering"
)

// putSetting stores a sub-resource, instead of an earlier one.
func putSetting(tx store.Tx, bucket, kind, id string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if err := deleteSetting(tx, bucket, kind, id); err != nil {
		return err
	}
	rows := settings.In(tx, store.Scope{})
	for part := 0; ; part++ {
		piece := text[:min(len(text), settingPart)]
		text = text[len(piece):]
		// Parts of four digits are in the order of their numbers.
		if err := rows.Put(&setting{bucket, kind, id, strconv.Itoa(1000 + part), piece}); err != nil {
			return err
		}
		if len(text) == 0 {
			return nil
		}
	}
}

// findSetting reads a sub-resource; nil if it is not set.
func findSetting[T any](tx store.Tx, bucket, kind, id string) (*T, error) {
	var text []byte
	for row, err := range settings.In(tx, store.Scope{}).Scan(store.Query{Parts: settingID(bucket, kind, id, "")[:3]}) {
		if err != nil {
			return nil, err
		}
		text = append(text, row.Value...)
	}
	if text == nil {
		return nil, nil
	}
	value := new(T)
	return value, json.Unmarshal(text, value)
}

// settingIDs lists the ids of the settings of a kind, in order.
func settingIDs(tx store.Tx, bucket, kind string) ([]string, error) {
	var ids []string
	for row, err := range settings.In(tx, store.Scope{}).Scan(store.Query{Parts: store.ID{bucket, kind}}) {
		if err != nil {
			return nil, err
		}
		if len(ids) == 0 || ids[len(ids)-1] != row.ID {
			ids = append(ids, row.ID)
		}
	}
	return ids, nil
}

// deleteSetting succeeds when there is none.
func deleteSetting(tx store.Tx, bucket, kind, id string) error {
	return deleteSettings(tx, settingID(bucket, kind, id, "")[:3])
}

func deleteSettings(tx store.Tx, parts store.ID) error {
	rows := settings.In(tx, store.Scope{})
	var found []store.ID
	for row, err := range rows.Scan(store.Query{Parts: parts}) {
		if err != nil {
			return err
		}
		found = append(found, settingID(row.Bucket, row.Kind, row.ID, row.Part))
	}
	for _, id := range found {
		if err := rows.Delete(id...); err != nil {
			return err
		}
	}
	return nil
}

// putConfig stores a sub-resource that a bucket has once. The check runs in the transaction; nil checks nothing.
func (s *Service) putConfig(ctx context.Context, name, expectedOwner *string, kind string, value any, check func(store.Tx, *bucket) error) error {
	return s.updateBucket(ctx, name, expectedOwner, func(tx store.Tx, b *bucket) error {
		if check != nil {
			if err := check(tx, b); err != nil {
				return err
			}
		}
		b.mark(kind, true)
		return putSetting(tx, b.Name, kind, "", value)
	})
}

// getConfig reads a sub-resource that a bucket has once; nil if it is not set.
func getConfig[T any](ctx context.Context, s *Service, name, expectedOwner *string, kind string) (value *T, b *bucket, err error) {
	err = s.viewBucket(ctx, name, expectedOwner, func(tx store.Tx, found *bucket) error {
		b = found
		value, err = findSetting[T](tx, b.Name, kind, "")
		return err
	})
	return value, b, err
}

// dropConfig removes a sub-resource that a bucket has once, and succeeds when there is none.
func (s *Service) dropConfig(ctx context.Context, name, expectedOwner *string, kind string) error {
	return s.updateBucket(ctx, name, expectedOwner, func(tx store.Tx, b *bucket) error {
		b.mark(kind, false)
		return deleteSetting(tx, b.Name, kind, "")
	})
}
