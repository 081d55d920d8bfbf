package ssm

import (
	"strings"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// documentName is the document that a caller means.
type documentName struct {
	// account is whose it is, "" for AWS's own.
	account, name string
}

// parseDocumentName reads a name, or an ARN of the caller's region. It alone tells which document is meant: what is asked
// of IAM and what is used are the same.
func parseDocumentName(scope store.Scope, text string) (documentName, error) {
	if !strings.Contains(text, ":") {
		if strings.HasPrefix(text, "AWS-") || text == OwnSSHDocument {
			return documentName{"", text}, nil
		}
		return documentName{scope.Account, text}, nil
	}
	rest, ok := strings.CutPrefix(text, "arn:aws:ssm:"+scope.Region+":")
	account, name, both := strings.Cut(rest, ":document/")
	if !ok || !both || name == "" || strings.Contains(name, ":") || account != "" && !isAccount(account) {
		return documentName{}, errInvalidDocument(text)
	}
	return documentName{account, name}, nil
}

func isAccount(text string) bool {
	return len(text) == 12 && strings.Trim(text, "0123456789") == ""
}

// documentARN is that of the document which a caller names.
func documentARN(r *awsapi.Request, text string) (string, error) {
	n, err := parseDocumentName(store.Scope{Account: r.Principal.Account, Region: r.Region}, text)
	return "arn:aws:ssm:" + r.Region + ":" + n.account + ":document/" + n.name, err
}
