package iam

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// reportPart is a piece of the account's newest credential report, small enough for a record.
type reportPart struct {
	Number    int
	Generated time.Time
	Text      document
}

var reportTable = store.NewTable(store.Spec[reportPart]{
	Service: "iam",
	Name:    "credential-reports",
	ID:      func(p *reportPart) store.ID { return store.ID{fmt.Sprintf("%06d", p.Number)} },
})

// AWS: "GenerateCredentialReport" in the IAM API reference: a new one at most every four hours.
const (
	reportLifetime = 4 * time.Hour
	reportPartSize = 64 << 10
)

var reportColumns = []string{
	"user", "arn", "user_creation_time", "password_enabled", "password_last_used", "password_last_changed", "password_next_rotation", "mfa_active",
	"access_key_1_active", "access_key_1_last_rotated", "access_key_1_last_used_date", "access_key_1_last_used_region", "access_key_1_last_used_service",
	"access_key_2_active", "access_key_2_last_rotated", "access_key_2_last_used_date", "access_key_2_last_used_region", "access_key_2_last_used_service",
	"cert_1_active", "cert_1_last_rotated", "cert_2_active", "cert_2_last_rotated",
}

func reportParts(tx store.Tx, account string) ([]*reportPart, error) {
	list, _, err := reportTable.In(tx, store.Scope{Account: account}).List(store.Query{})
	return list, err
}

// GenerateCredentialReport makes the report, unless there is one that is not four hours old.
func (s *Service) GenerateCredentialReport(ctx context.Context, _ *iam.GenerateCredentialReportInput) (*iam.GenerateCredentialReportOutput, error) {
	out := &iam.GenerateCredentialReportOutput{}
	account := awsapi.FromContext(ctx).Principal.Account
	return out, s.config.DB.Update(ctx, func(tx store.Tx) error {
		old, err := reportParts(tx, account)
		if err != nil {
			return err
		}
		out.State, out.Description = types.ReportStateTypeComplete, nil
		if len(old) > 0 && tx.Now().Sub(old[0].Generated) < reportLifetime {
			return nil
		}
		out.State, out.Description = types.ReportStateTypeStarted, aws.String("No report exists. Starting a new report generation task")
		text, err := s.credentialReport(tx, account)
		if err != nil {
			return err
		}
		rows := reportTable.In(tx, store.Scope{Account: account})
		for _, part := range old {
			if err := rows.Delete(fmt.Sprintf("%06d", part.Number)); err != nil {
				return err
			}
		}
		for number := 0; len(text) > 0; number++ {
			n := min(len(text), reportPartSize)
			if err := rows.Put(&reportPart{Number: number, Generated: tx.Now().UTC().Truncate(time.Second), Text: document(text[:n])}); err != nil {
				return err
			}
			text = text[n:]
		}
		return nil
	})
}

// GetCredentialReport answers the report as it was when it was made.
func (s *Service) GetCredentialReport(ctx context.Context, _ *iam.GetCredentialReportInput) (*iam.GetCredentialReportOutput, error) {
	out := &iam.GetCredentialReportOutput{ReportFormat: types.ReportFormatTypeTextCsv}
	return out, s.view(ctx, func(tx store.Tx, account string) error {
		parts, err := reportParts(tx, account)
		switch {
		case err != nil:
			return err
		case len(parts) == 0:
			return awsapi.Errorf("ReportNotPresent", "No report found")
		case tx.Now().Sub(parts[0].Generated) >= reportLifetime:
			return awsapi.Errorf("ReportExpired", "The credential report has expired. Generate a new one.")
		}
		out.GeneratedTime = aws.Time(parts[0].Generated)
		for _, part := range parts {
			out.Content = append(out.Content, string(part.Text)...)
		}
		return nil
	})
}

func reportTime(t time.Time, absent string) string {
	if t.IsZero() {
		return absent
	}
	return t.UTC().Format(time.RFC3339)
}

// credentialReport is the report's text: the root user, then users by name.
// AWS: "Generate credential reports for your AWS account" in the IAM user guide.
func (s *Service) credentialReport(tx store.Tx, account string) (string, error) {
	var text bytes.Buffer
	w := csv.NewWriter(&text)
	_ = w.Write(reportColumns) // a buffer takes everything
	root, err := s.account(tx, account)
	if err != nil {
		return "", err
	}
	device, err := anyDevice(tx, account, account)
	if err != nil {
		return "", err
	}
	row := []string{"<root_account>", arn(account, "root"), reportTime(root.Created, "N/A"), "not_supported", "no_information", "not_supported", "not_supported", strconv.FormatBool(device)}
	credentials, err := s.reportCredentials(tx, account, "")
	if err != nil {
		return "", err
	}
	_ = w.Write(append(row, credentials...))
	for u, err := range s.userRows(tx, account).Scan(store.Query{}) {
		if err != nil {
			return "", err
		}
		device, err := anyDevice(tx, account, u.ID)
		if err != nil {
			return "", err
		}
		row := []string{u.Name, users.arn(account, u), reportTime(u.Created, "N/A"), "false", "N/A", "N/A", "N/A", strconv.FormatBool(device)}
		if u.Login != nil {
			row[3], row[4], row[5] = "true", reportTime(u.PasswordLastUsed, "no_information"), reportTime(u.Login.Changed, "N/A")
			if root.Passwords != nil && root.Passwords.MaxAge > 0 {
				row[6] = reportTime(u.Login.Changed.AddDate(0, 0, int(root.Passwords.MaxAge)), "N/A")
			}
		}
		credentials, err := s.reportCredentials(tx, account, u.ID)
		if err != nil {
			return "", err
		}
		_ = w.Write(append(row, credentials...))
	}
	w.Flush()
	return text.String(), w.Error()
}

// reportCredentials are the columns of two access keys and two signing certificates.
func (s *Service) reportCredentials(tx store.Tx, account, userID string) ([]string, error) {
	var columns []string
	keys, err := accessKeysOf(tx, account, userID)
	if err != nil {
		return nil, err
	}
	if userID == "" && account == s.config.Account {
		keys = append([]*accessKey{{ID: s.config.Root.AccessKeyID}}, keys...)
	}
	for i := range maxAccessKeys {
		if i >= len(keys) {
			columns = append(columns, "false", "N/A", "N/A", "N/A", "N/A")
			continue
		}
		used := s.uses.key(keys[i])
		place := []string{"N/A", "N/A"}
		if !used.At.IsZero() {
			place = []string{used.Region, used.Service}
		}
		columns = append(columns, strconv.FormatBool(!keys[i].Inactive), reportTime(keys[i].Created, "N/A"), reportTime(used.At, "N/A"), place[0], place[1])
	}
	certificates, err := userRecords(signingRows(tx, account), userID)
	if userID == "" {
		certificates, err = nil, nil
	}
	for i := range maxSigningCertificates {
		if i >= len(certificates) {
			columns = append(columns, "false", "N/A")
			continue
		}
		columns = append(columns, strconv.FormatBool(!certificates[i].Inactive), reportTime(certificates[i].Uploaded, "N/A"))
	}
	return columns, err
}
