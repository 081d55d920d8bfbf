package s3

import (
	"context"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"

	"miniaws/backend/lazyregexp"
	"miniaws/backend/store"
)

// Inventories, analytics, metrics and intelligent tiering are configurations of which a bucket has many, told apart by
// ids. They are kept and checked; see docs/s3-compatibility.md for what runs by them.

const (
	// configurationsPage is how many of them a page of a listing has.
	configurationsPage = 100
	maxConfigurations  = 1000
)

// configurationID is what ids look like.
// AWS: API reference of InventoryConfiguration and its siblings.
var configurationID = lazyregexp.New(`^[a-zA-Z0-9_.-]{1,64}$`)

func errNoConfiguration() error {
	return refusal(http.StatusNotFound, "NoSuchConfiguration", "The specified configuration does not exist.")
}

func errTooManyConfigurations() error {
	return refusal(http.StatusBadRequest, "TooManyConfigurations", "You are attempting to create a new configuration but have already reached the 1,000-configuration limit. ")
}

// putConfiguration stores one. The id of the request and the one in the document must be the same.
// AWS: API reference of PutBucketInventoryConfiguration and its siblings, special errors: InvalidArgument.
func (s *Service) putConfiguration(ctx context.Context, name, expectedOwner *string, kind string, id, inside *string, value any) error {
	switch {
	case aws.ToString(id) == "" || aws.ToString(inside) == "":
		return errMalformedXML()
	case *id != *inside:
		return errInvalidArgument("Invalid Argument", "id", *id)
	}
	if !configurationID.MatchString(*id) {
		return refusal(http.StatusBadRequest, "InvalidConfigurationId", "The specified configuration id is invalid.", "ConfigurationId", *id)
	}
	return s.updateBucket(ctx, name, expectedOwner, func(tx store.Tx, b *bucket) error {
		ids, err := settingIDs(tx, b.Name, kind)
		if err != nil {
			return err
		}
		had, err := findSetting[any](tx, b.Name, kind, *id)
		if err != nil {
			return err
		}
		if had == nil && len(ids) >= maxConfigurations {
			return errTooManyConfigurations()
		}
		b.mark(kind, true)
		return putSetting(tx, b.Name, kind, *id, value)
	})
}

func getConfiguration[T any](ctx context.Context, s *Service, name, expectedOwner *string, kind string, id *string) (value *T, err error) {
	err = s.viewBucket(ctx, name, expectedOwner, func(tx store.Tx, b *bucket) error {
		value, err = findSetting[T](tx, b.Name, kind, aws.ToString(id))
		if err == nil && value == nil {
			return errNoConfiguration()
		}
		return err
	})
	return value, err
}

// deleteConfiguration answers NoSuchConfiguration when there is none.
func (s *Service) deleteConfiguration(ctx context.Context, name, expectedOwner *string, kind string, id *string) error {
	return s.updateBucket(ctx, name, expectedOwner, func(tx store.Tx, b *bucket) error {
		had, err := findSetting[any](tx, b.Name, kind, aws.ToString(id))
		if err != nil {
			return err
		}
		if had == nil {
			return errNoConfiguration()
		}
		return deleteSetting(tx, b.Name, kind, *id)
	})
}

// listConfigurations answers one page, in the order of the ids, and the token of the next one.
func listConfigurations[T any](ctx context.Context, s *Service, name, expectedOwner *string, kind string, token *string) (page []T, next *string, err error) {
	after := ""
	if token != nil {
		place, ok := openToken(*token)
		if !ok {
			return nil, nil, errInvalidArgument("The continuation token provided is incorrect", "continuation-token", *token)
		}
		after = place
	}
	err = s.viewBucket(ctx, name, expectedOwner, func(tx store.Tx, b *bucket) error {
		ids, err := settingIDs(tx, b.Name, kind)
		if err != nil {
			return err
		}
		last := ""
		for _, id := range ids {
			if id <= after {
				continue
			}
			if len(page) == configurationsPage {
				next = aws.String(sealToken(last))
				return nil
			}
			value, err := findSetting[T](tx, b.Name, kind, id)
			if err != nil {
				return err
			}
			page, last = append(page, *value), id
		}
		return nil
	})
	return page, next, err
}
