package ec2

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/aws/smithy-go"

	"miniaws/backend/store"
)

// RoleHolder is an instance that gets a session of its role.
type RoleHolder struct {
	Account, Instance, ARN, VPC string
	Private                     netip.Addr
	// Version is that of the metadata service by which the credentials are handed over: 1 or 2.
	Version int
}

// RoleCredentials are those of a session.
type RoleCredentials struct {
	AccessKeyID, SecretAccessKey, Token string
	Expires                             time.Time
}

// renewBefore is how long before their end credentials are made anew.
// AWS: "IAM roles for Amazon EC2": new ones are there at least five minutes before the old ones end.
const renewBefore = 15 * time.Minute

// rememberedAnswers are answers that take some making, for each instance. They are made anew after a restart, and nothing
// is wrong with the earlier ones then.
type rememberedAnswers struct {
	mu  sync.Mutex
	all map[string]*rememberedAnswer
}

type rememberedAnswer struct {
	mu          sync.Mutex
	credentials map[credentialsFor]issuedCredentials
	// signed is the identity document of which signatures are the signatures.
	signed     string
	signatures map[string]string
}

// credentialsFor says whom credentials were made for: another association, role or version gets others.
type credentialsFor struct {
	association, role string
	version           int
}

type issuedCredentials struct {
	RoleCredentials
	issued time.Time
}

// of answers what is remembered of an instance.
func (r *rememberedAnswers) of(instance string) *rememberedAnswer {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[string]*rememberedAnswer{}
	}
	if r.all[instance] == nil {
		r.all[instance] = &rememberedAnswer{}
	}
	return r.all[instance]
}

func (r *rememberedAnswers) forget(instance string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, instance)
}

// roleCredentials is the document with the credentials of the instance's role.
func (s *Service) roleCredentials(ctx context.Context, g *asker, profile Profile, version int) (string, error) {
	if s.config.RoleSession == nil {
		return "", errNoMetadata
	}
	have, err := s.credentialsOf(ctx, g.scope, g.inst, profile, version)
	var coded smithy.APIError
	if errors.As(err, &coded) && coded.ErrorCode() == "AccessDenied" {
		return document(roleError{
			Code: "AssumeRoleUnauthorizedAccess", Message: "EC2 cannot assume the role " + profileName(profile.RoleARN) + "." + rolesHelp,
			LastUpdated: time.Now().UTC().Format(metadataTime),
		}), nil
	}
	if err != nil {
		return "", err
	}
	return document(struct {
		Code, LastUpdated, Type, AccessKeyId, SecretAccessKey, Token, Expiration string
	}{
		"Success", have.issued.Format(metadataTime), "AWS-HMAC", have.AccessKeyID, have.SecretAccessKey, have.Token, have.Expires.UTC().Format(metadataTime),
	}), nil
}

// credentialsOf answers credentials of an instance's role: those that it has, while they are good for a while.
func (s *Service) credentialsOf(ctx context.Context, scope store.Scope, i *instance, profile Profile, version int) (issuedCredentials, error) {
	known := s.remembered.of(i.ID)
	known.mu.Lock()
	defer known.mu.Unlock()
	who := credentialsFor{i.Profile.Association, profile.RoleARN, version}
	have, ok := known.credentials[who]
	now := time.Now().UTC()
	if ok && now.Add(renewBefore).Before(have.Expires) {
		return have, nil
	}
	private, _ := netip.ParseAddr(i.PrivateIP)
	made, err := s.config.RoleSession(ctx, profile.RoleARN, RoleHolder{
		Account: scope.Account, Instance: i.ID, ARN: arn(scope, instances.typ, i.ID), VPC: i.VPC, Private: private, Version: version,
	})
	if err != nil {
		return issuedCredentials{}, err
	}
	if ok || known.credentials == nil || len(known.credentials) > 3 {
		known.credentials = map[credentialsFor]issuedCredentials{} // those of other roles are worth nothing by now
	}
	have = issuedCredentials{made, now}
	known.credentials[who] = have
	return have, nil
}

// SessionOf answers credentials of the role of an instance of an account, as a program inside has them, for what Mini AWS does as
// that program; ok is false for an instance without a role.
func (s *Service) SessionOf(ctx context.Context, account, id string) (c RoleCredentials, ok bool, err error) {
	h, err := s.homeOf(ctx, id)
	if h == nil || err != nil || h.Account != account || s.config.RoleSession == nil || s.config.FindProfile == nil {
		return RoleCredentials{}, false, err
	}
	scope := store.Scope{Account: h.Account, Region: h.Region}
	var i *instance
	err = s.viewIn(ctx, scope, func(t tx) (err error) {
		i, err = instances.find(t, id)
		return err
	})
	if i == nil || err != nil || i.Profile == nil {
		return RoleCredentials{}, false, err
	}
	found, err := s.config.FindProfile(ctx, account, profileName(i.Profile.ARN))
	if err != nil || found.ID != i.Profile.ID || found.RoleARN == "" {
		return RoleCredentials{}, false, err
	}
	const version = 2 // of the metadata service, which the agent asks with a token
	have, err := s.credentialsOf(ctx, scope, i, found, version)
	return have.RoleCredentials, err == nil, err
}

// HoldsRole tells whether an instance may still act as a role that it got credentials of: not once it ended, lost its
// profile, or the profile has another role by now.
func (s *Service) HoldsRole(ctx context.Context, account, id, roleARN string) (bool, error) {
	h, err := s.homeOf(ctx, id)
	if h == nil || err != nil || h.Account != account {
		return false, err
	}
	var profile *profileAssociation
	err = s.viewIn(ctx, store.Scope{Account: h.Account, Region: h.Region}, func(t tx) error {
		i, err := instances.find(t, id)
		if i != nil && i.State != stateShuttingDown && i.State != stateTerminated {
			profile = i.Profile
		}
		return err
	})
	if profile == nil || err != nil {
		return false, err
	}
	found, err := s.config.FindProfile(ctx, account, profileName(profile.ARN))
	return err == nil && found.ID == profile.ID && found.RoleARN == roleARN, err
}
