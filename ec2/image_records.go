package ec2

import "time"

type imageState string

const imageAvailable imageState = "available"

// image is an AMI.
type image struct {
	ID, Name, Description, OwnerID, OwnerAlias, Architecture, RootDevice, Login, Location, IMDSSupport string
	Created                                                                                            time.Time
	VolumeGiB                                                                                          int32
	References                                                                                         []string
	Public, SriovNet                                                                                   bool
	State                                                                                              imageState
}
