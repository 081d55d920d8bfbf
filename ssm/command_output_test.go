package ssm

import "testing"

// TestOutputKeys: where the output of a step goes, and how answers name it.
func TestOutputKeys(t *testing.T) {
	for _, c := range []struct {
		output     *commandOutput
		step, want string
	}{
		{nil, "one", ""},
		{&commandOutput{"b", "", "eu-west-1"}, "one", "https://s3.eu-west-1.amazonaws.com/b/c-1/i-1/awsrunShellScript/one/stdout"},
		{&commandOutput{"b", "/a/b/", "eu-west-1"}, scriptPlugin, "https://s3.eu-west-1.amazonaws.com/b/a/b/c-1/i-1/awsrunShellScript/0.awsrunShellScript/stdout"},
	} {
		if got := c.output.url("c-1", "i-1", c.step, "stdout"); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}
