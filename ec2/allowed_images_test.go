package ec2

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestLargestCriteria: as many criteria as there may be, as large as they may be, are kept, and fewer ones replace them.
func TestLargestCriteria(t *testing.T) {
	_, client, _ := newCloud(t)
	var largest []types.ImageCriterionRequest
	for i := range 10 {
		c := types.ImageCriterionRequest{ImageProviders: []string{"amazon"}}
		for k := range 50 {
			name := fmt.Sprintf("%02d-%02d-", i, k)
			c.ImageNames = append(c.ImageNames, name+strings.Repeat("x", 128-len(name)))
			c.MarketplaceProductCodes = append(c.MarketplaceProductCodes, fmt.Sprintf("%025d", 100*i+k))
		}
		largest = append(largest, c)
	}
	for _, n := range []int{10, 5, 6, 1, 0} {
		must[*ec2.ReplaceImageCriteriaInAllowedImagesSettingsOutput](t)(client.ReplaceImageCriteriaInAllowedImagesSettings(t.Context(), &ec2.ReplaceImageCriteriaInAllowedImagesSettingsInput{ImageCriteria: largest[:n]}))
		must[*ec2.EnableAllowedImagesSettingsOutput](t)(client.EnableAllowedImagesSettings(t.Context(), &ec2.EnableAllowedImagesSettingsInput{AllowedImagesSettingsState: types.AllowedImagesSettingsEnabledStateAuditMode}))
		got := must[*ec2.GetAllowedImagesSettingsOutput](t)(client.GetAllowedImagesSettings(t.Context(), &ec2.GetAllowedImagesSettingsInput{}))
		if len(got.ImageCriteria) != n || aws.ToString(got.State) != "audit-mode" {
			t.Fatalf("%d criteria, not %d, %s", len(got.ImageCriteria), n, aws.ToString(got.State))
		}
		for i, c := range got.ImageCriteria {
			if c.ImageNames[49] != largest[i].ImageNames[49] {
				t.Errorf("criterion %d of %d: %s", i, n, c.ImageNames[49])
			}
		}
	}
}
