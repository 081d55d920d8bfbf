package reference

import "testing"

func TestFind(t *testing.T) {
	a, ok := Find("EC2:runinstances")
	if !ok || a.Name != "ec2:RunInstances" {
		t.Fatalf("%+v %v", a, ok)
	}
	for arn, want := range map[string]bool{
		"arn:aws:ec2:us-east-1:123456789012:instance/*":      true,
		"arn:aws:ec2:us-east-1::image/ami-1":                 true,
		"arn:aws:ec2:us-east-1:123456789012:route-table/rtb": false,
		"arn:aws:s3:::photos":                                false,
		"*":                                                  true,
	} {
		if a.Takes(arn) != want {
			t.Errorf("%s: %v, want %v", arn, !want, want)
		}
	}
	for key, want := range map[string]bool{"ec2:InstanceType": true, "aws:RequestTag/team": true, "s3:prefix": false} {
		if a.HasKey(key) != want {
			t.Errorf("%s: %v, want %v", key, !want, want)
		}
	}
	if len(actions()) < 2500 {
		t.Errorf("only %d actions", len(actions()))
	}
	if _, ok := Find("ec2:MakeCoffee"); ok {
		t.Error("found what does not exist")
	}
}
