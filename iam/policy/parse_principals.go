package policy

import "strings"

func (p *parser) principal(n *node, s *Statement) error {
	element, not := n.member("Principal"), false
	if element == nil {
		element, not = n.member("NotPrincipal"), true
	}
	switch p.document.kind {
	case Identity, Managed:
		if element != nil {
			return &Malformed{"Policy document should not specify a principal."} // Seen: lyft/metadataproxy issue 53
		}
		return nil
	case ServiceControl:
		if element != nil {
			return errSyntax
		}
		return nil
	case ResourceControl:
		// AWS: "RCP syntax": Principal is "*", NotPrincipal is not supported.
		if element == nil || not || element.kind != stringNode || element.text != "*" {
			return errSyntax
		}
	case Trust:
		switch {
		case element == nil:
			return missingField("Principal")
		case p.stored:
		case not && s.Effect == Allow:
			return &Malformed{"Allow with NotPrincipal is not allowed."} // Seen: versity/versitygw
		case not:
			return &Malformed{"AssumeRole policy must not contain NotPrincipal field."} // Seen: versity/versitygw
		case element.kind == stringNode && element.text == "*":
			return &Malformed{`AssumeRolepolicy contained an invalid principal: "STAR":"*".`} // Seen: aws/aws-cdk, the test of roles
		}
	default:
		if element == nil {
			return missingField("Principal")
		}
	}
	s.principals = &principals{not: not}
	if element.kind == stringNode && element.text == "*" {
		s.principals.entries = []principalEntry{{kind: entryEverybody}}
		return nil
	}
	if element.kind == stringNode {
		return p.invalidPrincipal("STATIC", element.text)
	}
	if element.kind != objectNode || len(element.items) == 0 {
		return errSyntax
	}
	for i, class := range element.names {
		texts, ok := element.items[i].strings()
		if !ok || len(texts) == 0 {
			return errSyntax
		}
		for _, text := range texts {
			entry, ok := parsePrincipal(class, text)
			if !ok {
				return p.invalidPrincipal(class, text)
			}
			if p.document.kind == Trust && !p.stored && entry.kind == entryFederated && text == cognito && len(s.conditions) == 0 {
				return &Malformed{"A condition block must be present for the Cognito provider"} // Seen: badmintoncryer/cdk-preflight
			}
			s.principals.entries = append(s.principals.entries, entry)
		}
	}
	return nil
}

// cognito is the provider of everybody's identity pools.
const cognito = "cognito-identity.amazonaws.com"

func (p *parser) invalidPrincipal(class, text string) error {
	if p.document.kind == Resource {
		return &Malformed{"Invalid principal in policy"} // Seen: aws-samples/aws-batch-architecture-for-alphafold issue 1
	}
	return InvalidPrincipal(class, text)
}

// InvalidPrincipal is the error of a trust policy that names nobody.
// Seen: hashicorp/terraform-provider-aws issue 8905.
func InvalidPrincipal(class, text string) error {
	switch class {
	case "Service", "Federated":
		class = strings.ToUpper(class)
	}
	return malformed(`Invalid principal in policy: "%s":"%s"`, class, text)
}
