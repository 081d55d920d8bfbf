package ec2

import (
	"context"

	"miniaws/awsapi"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// registerInstances adds the operations on instances, images, key pairs and launch templates.
func (s *Service) registerInstances(*awsapi.Server) {}

func instanceTables() []store.Schema { return nil }

func instanceKinds() []taggable { return nil }

func (s *Service) reconcileInstances(*reconcile.Loop) {}

// instanceZone answers the Availability Zone of an instance that is not terminated.
func instanceZone(_ tx, id string) (string, error) { return "", errInstanceNotFound(id) }

// instanceProcess answers the first process of an instance's container, 0 if it does not run. It tells whether the
// instance is stopped, and so needs no wires.
func (s *Service) instanceProcess(context.Context, store.Scope, string) (pid int, stopped bool, err error) {
	return 0, true, nil
}
