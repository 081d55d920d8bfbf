package ec2

import (
	"miniaws/awsapi"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// registerInstances adds the operations on instances, images, key pairs and launch templates.
func (s *Service) registerInstances(*awsapi.Server) {}

func instanceTables() []store.Schema { return nil }

func instanceKinds() []taggable { return nil }

func (s *Service) reconcileInstances(*reconcile.Loop) {}
