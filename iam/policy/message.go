package policy

import "strings"

// Message is AWS's text of a denial; empty for what is allowed.
// AWS: "Troubleshoot access denied error messages" in the IAM user guide.
func (d *Decision) Message() string {
	resource := d.resource
	switch {
	case resource == "*":
		resource = ""
	case resource != "" && strings.HasPrefix(d.action, "s3:"): // AWS: S3's own page of 403 errors has the resource in quotes
		resource = `"` + resource + `"`
	}
	return d.MessageAbout(resource)
}

// MessageAbout is Message with the resource as its service names it; empty for none.
func (d *Decision) MessageAbout(resource string) string {
	if d.Allowed {
		return ""
	}
	var out strings.Builder
	out.WriteString("User: ")
	if d.principal == "" {
		out.WriteString("anonymous")
	}
	out.WriteString(d.principal)
	out.WriteString(" is not authorized to perform: ")
	out.WriteString(d.action)
	if resource != "" {
		out.WriteString(" on resource: ")
		out.WriteString(resource)
	}
	out.WriteByte(' ')
	out.WriteString(d.Reason())
	return out.String()
}

// Reason is the last part of the message: which type of policy denied, and how.
func (d *Decision) Reason() string {
	name := d.Layer.String()
	switch {
	case d.Allowed:
		return ""
	case d.Explicit && d.Layer == LayerIdentity:
		return "with an explicit deny in an identity-based policy"
	case d.Explicit && d.Layer == LayerTrust:
		return "with an explicit deny in the role trust policy"
	case d.Explicit:
		return "with an explicit deny in a " + name
	}
	return "because no " + name + " allows the " + d.action + " action"
}
