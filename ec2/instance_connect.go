package ec2

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	connect "github.com/aws/aws-sdk-go-v2/service/ec2instanceconnect"
	"golang.org/x/crypto/ssh"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	"miniaws/backend/lazyregexp"
	"miniaws/backend/store"
)

// connectKey is a public key that may log in as a user of an instance for a minute.
type connectKey struct {
	Instance, User string
	// Keys maps a line of an authorized_keys file to its end.
	Keys map[string]time.Time
}

var connectKeys = store.NewTable(store.Spec[connectKey]{
	Service: "ec2", Name: "instance-connect-keys", ID: func(k *connectKey) store.ID { return store.ID{k.Instance, k.User} },
})

// maxConnectKeys bounds a user's keys: as many of the longest as a record takes.
const maxConnectKeys = 32

// connectLifetime is how long a key is good. AWS: "SendSSHPublicKey": 60 seconds.
const connectLifetime = time.Minute

var osUsers = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_.@\\-]{0,31}$`)

// registerConnect adds the operations of EC2 Instance Connect.
func (s *Service) registerConnect(server *awsapi.Server) {
	server.Register(meta.EC2InstanceConnect,
		awsapi.Op(s.SendSSHPublicKey, s.sendKeyAccess),
	)
}

func (s *Service) sendKeyAccess(ctx context.Context, in *connect.SendSSHPublicKeyInput) ([]awsapi.Access, error) {
	scope := scopeOf(ctx)
	access := awsapi.Access{
		Action: "ec2-instance-connect:SendSSHPublicKey", Resources: []string{arn(scope, types.ResourceTypeInstance, aws.ToString(in.InstanceId))},
		Conditions: map[string][]string{"ec2:osuser": {aws.ToString(in.InstanceOSUser)}},
	}
	return []awsapi.Access{access}, nil
}

// SendSSHPublicKey lets whoever has the private half log in, for a minute: the instance's SSH server asks for such keys at
// each login. Connections that were made by then go on.
func (s *Service) SendSSHPublicKey(ctx context.Context, in *connect.SendSSHPublicKeyInput) (*connect.SendSSHPublicKeyOutput, error) {
	user := *in.InstanceOSUser
	if !osUsers.MatchString(user) {
		return nil, errConnectArgs("Invalid OS user name")
	}
	key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(*in.SSHPublicKey))
	if err != nil || len(options) > 0 || len(rest) > 0 || key.Type() != ssh.KeyAlgoRSA && key.Type() != ssh.KeyAlgoED25519 {
		return nil, errConnectArgs("Invalid SSH public key format")
	}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
	out := &connect.SendSSHPublicKeyOutput{RequestId: aws.String(awsapi.FromContext(ctx).ID), Success: true}
	return out, s.update(ctx, func(t tx) error {
		i, err := instances.find(t, *in.InstanceId)
		switch {
		case err != nil:
			return err
		case i == nil || i.State == stateTerminated:
			return errConnectNotFound()
		case i.State != stateRunning:
			return errConnectState()
		case in.AvailabilityZone != nil && *in.AvailabilityZone != i.Zone:
			return errConnectNotFound()
		}
		rows := connectKeys.In(t, t.scope)
		row, err := rows.Find(i.ID, user)
		if err != nil {
			return err
		}
		if row == nil {
			row = &connectKey{Instance: i.ID, User: user}
		}
		kept := map[string]time.Time{line: t.Now().Add(connectLifetime)}
		for other, end := range row.Keys {
			if other != line && end.After(t.Now()) && len(kept) < maxConnectKeys {
				kept[other] = end
			}
		}
		row.Keys = kept
		return errors.Join(forgetConnectKeys(t, i.ID, t.Now()), rows.Put(row))
	})
}

// aboutConnectKeys is what AWS's metadata service tells the SSH server.
func (s *Service) aboutConnectKeys(t tx, i *instance, data metadataFolder) error {
	users := metadataFolder{}
	rows, _, err := connectKeys.In(t, t.scope).List(store.Query{Parts: store.ID{i.ID}})
	for _, row := range rows {
		var lines []string
		for line, end := range row.Keys {
			if end.After(time.Now()) {
				lines = append(lines, line)
			}
		}
		slices.Sort(lines)
		if len(lines) > 0 {
			users[row.User] = strings.Join(lines, "\n")
		}
	}
	if len(users) > 0 {
		data["managed-ssh-keys"] = metadataFolder{"active-keys": users}
	}
	return err
}

// forgetConnectKeys removes the users of an instance of whose keys none is good any more by then.
func forgetConnectKeys(t tx, instance string, then time.Time) error {
	rows := connectKeys.In(t, t.scope)
	list, _, err := rows.List(store.Query{Parts: store.ID{instance}})
	for _, row := range list {
		good := slices.ContainsFunc(slices.Collect(maps.Values(row.Keys)), then.Before)
		if !good {
			err = errors.Join(err, rows.Delete(row.Instance, row.User))
		}
	}
	return err
}
