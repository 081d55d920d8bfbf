package s3

import (
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// documents are the settings of a bucket that are put as a document, each with one that is taken.
var documents = []struct{ query, body string }{
	{"lifecycle", `<LifecycleConfiguration><Rule><ID>a</ID><Filter><And><Prefix>p</Prefix><Tag><Key>k</Key><Value>v</Value></Tag><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan></And></Filter><Status>Enabled</Status><Transition><Days>30</Days><StorageClass>GLACIER</StorageClass></Transition><Expiration><Days>60</Days></Expiration><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>2</NewerNoncurrentVersions></NoncurrentVersionExpiration></Rule></LifecycleConfiguration>`},
	{"notification", `<NotificationConfiguration><EventBridgeConfiguration/></NotificationConfiguration>`},
	{"acl", `<AccessControlPolicy><Owner><ID>` + canonicalID("123456789012") + `</ID></Owner><AccessControlList><Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group"><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>`},
	{"cors", `<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin><MaxAgeSeconds>1</MaxAgeSeconds></CORSRule></CORSConfiguration>`},
	{"website", `<WebsiteConfiguration><IndexDocument><Suffix>i</Suffix></IndexDocument><RoutingRules><RoutingRule><Condition><KeyPrefixEquals>a</KeyPrefixEquals></Condition><Redirect><ReplaceKeyWith>b</ReplaceKeyWith></Redirect></RoutingRule></RoutingRules></WebsiteConfiguration>`},
	{"tagging", `<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>`},
	{"encryption", `<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>`},
	{"versioning", `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`},
	{"publicAccessBlock", `<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>`},
	{"ownershipControls", `<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>`},
	{"replication", `<ReplicationConfiguration><Role>arn:aws:iam::123456789012:role/r</Role><Rule><ID>a</ID><Priority>1</Priority><Status>Enabled</Status><Filter><Prefix>a</Prefix></Filter><DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication><Destination><Bucket>arn:aws:s3:::bucket</Bucket></Destination></Rule></ReplicationConfiguration>`},
	{"logging", `<BucketLoggingStatus><LoggingEnabled><TargetBucket>bucket</TargetBucket><TargetPrefix>l</TargetPrefix></LoggingEnabled></BucketLoggingStatus>`},
	{"policy", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/x","Condition":{"StringLike":{"s3:prefix":"a*"}}}]}`},
	{"inventory&id=a", `<InventoryConfiguration><Destination><S3BucketDestination><Bucket>arn:aws:s3:::bucket</Bucket><Format>CSV</Format></S3BucketDestination></Destination><IsEnabled>true</IsEnabled><Id>a</Id><IncludedObjectVersions>All</IncludedObjectVersions><Schedule><Frequency>Daily</Frequency></Schedule></InventoryConfiguration>`},
	{"metrics&id=a", `<MetricsConfiguration><Id>a</Id><Filter><Prefix>x</Prefix></Filter></MetricsConfiguration>`},
	{"analytics&id=a", `<AnalyticsConfiguration><Id>a</Id><StorageClassAnalysis/></AnalyticsConfiguration>`},
	{"intelligent-tiering&id=a", `<IntelligentTieringConfiguration><Id>a</Id><Status>Enabled</Status><Tiering><AccessTier>ARCHIVE_ACCESS</AccessTier><Days>100</Days></Tiering></IntelligentTieringConfiguration>`},
}

// Whatever a document says, it is taken or it is an error of the client; what was taken is answered, is taken again, and
// harms nothing that acts on it.
func FuzzDocuments(f *testing.F) {
	for i, d := range documents {
		f.Add(byte(i), d.body)
	}
	f.Fuzz(func(t *testing.T, which byte, body string) {
		s := newSite(t)
		d := documents[int(which)%len(documents)]
		path := "/bucket?" + d.query
		if d.query == "acl" { // in a bucket where ACLs count
			s.classic = true
			if w := s.send(t, http.MethodPut, "/classic", "", nil); w.Code != http.StatusOK {
				t.Fatal(w.Body)
			}
			path = "/classic?acl"
		}
		w := s.send(t, http.MethodPut, path, body, md5Of(body))
		if w.Code == http.StatusNotImplemented || w.Code >= 400 && w.Code < 500 {
			return
		}
		if w.Code != http.StatusOK && w.Code != http.StatusNoContent {
			t.Fatalf("%s: %d %s\nto %q", d.query, w.Code, w.Body, body)
		}
		shown := s.send(t, http.MethodGet, path, "", nil)
		if shown.Code == http.StatusNotFound { // what is empty turns a setting off
			return
		}
		if shown.Code != http.StatusOK {
			t.Fatalf("%s is answered %d %s\nafter %q", d.query, shown.Code, shown.Body, body)
		}
		again := shown.Body.String()
		if w := s.send(t, http.MethodPut, path, again, md5Of(again)); w.Code >= 300 {
			t.Fatalf("%s does not take its own answer: %d %s\n%s\nafter %q", d.query, w.Code, w.Body, again, body)
		}
		for _, path := range []string{"/bucket/a/b", "/bucket/p"} { // all that rules act on
			if w := s.send(t, http.MethodPut, path, "content", map[string]string{"Origin": "http://x"}); w.Code >= 500 {
				t.Fatalf("a PUT answers %d %s\nafter %s %q", w.Code, w.Body, d.query, body)
			}
		}
		if d.query == "lifecycle" {
			if _, err := s.sweepLifecycle(t.Context(), reconcile.Item{Kind: kindSweep, ID: "bucket"}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func md5Of(body string) map[string]string {
	if strings.HasPrefix(body, "<") {
		return nil // send does it
	}
	return map[string]string{"Content-MD5": contentMD5(body)}
}

// A range is a piece of the object, or the whole, or refused.
func FuzzRange(f *testing.F) {
	for _, header := range []string{"bytes=0-0", "bytes=-1", "bytes=5-", "bytes=9-3", "bytes=0-1,3-4", "bytes=99999999999999999999-", "lines=1-2", "bytes = 1 - 2"} {
		f.Add(header, int64(10))
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		piece, partial, err := rangeOf(&header, size)
		switch {
		case err != nil && (piece != span{0, size} || partial), err == nil && !partial && piece != span{0, size}:
			t.Fatalf("%q of %d: %+v, %v, %v", header, size, piece, partial, err)
		case partial && (piece.offset < 0 || piece.length <= 0 || piece.offset+piece.length > size || piece.offset+piece.length < 0):
			t.Fatalf("%q of %d: %+v", header, size, piece)
		}
	})
}

func FuzzToken(f *testing.F) {
	f.Add("a/b")
	f.Add("MQ")
	f.Fuzz(func(t *testing.T, text string) {
		if place, ok := openToken(sealToken(text)); text != "" && (!ok || place != text) {
			t.Fatalf("%q became %q", text, place)
		}
		if place, ok := openToken(text); ok && sealToken(place) != text && strings.TrimRight(text, "\r\n") == text && !strings.ContainsAny(text, "\r\n") {
			if again, _ := openToken(sealToken(place)); again != place {
				t.Fatalf("%q is %q", text, place)
			}
		}
	})
}

// fuzzKeys are in the order that listings have.
var fuzzKeys = []string{"a", "a/", "a/b", "a/b/c", "a/bb", "a\x01", "ab", "b//c", "b/c", "z", "é/1", "é/2", "€"}

// A listing, page by page, is what one would pick from all keys.
func FuzzListing(f *testing.F) {
	s := newSite(f)
	slices.Sort(fuzzKeys)
	for _, key := range fuzzKeys {
		if w := s.send(f, http.MethodPut, "/bucket/"+url.PathEscape(key), "", nil); w.Code != http.StatusOK {
			f.Fatal(key, w.Body)
		}
	}
	f.Add("", "/", "", byte(2))
	f.Add("a", "b", "a/", byte(1))
	f.Add("é", "/", "\x00", byte(3))
	f.Fuzz(func(t *testing.T, prefix, delimiter, after string, size byte) {
		if len(prefix)+len(delimiter)+len(after) > 4<<10 {
			return // keys have 1024 bytes: refused, after much escaping
		}
		var want []string
		for _, key := range fuzzKeys {
			rest, fits := strings.CutPrefix(key, prefix)
			if !fits {
				continue
			}
			if before, _, cut := strings.Cut(rest, delimiter); cut && delimiter != "" {
				key = prefix + before + delimiter
			}
			if key > after && !slices.Contains(want, key) {
				want = append(want, key)
			}
		}
		query := url.Values{
			"list-type": {"2"}, "encoding-type": {"url"}, "prefix": {prefix}, "delimiter": {delimiter}, "start-after": {after}, "max-keys": {strconv.Itoa(int(size)%5 + 1)},
		}
		var got []string
		for pages := 0; ; pages++ {
			w := s.send(t, http.MethodGet, "/bucket?"+strings.ReplaceAll(query.Encode(), "+", "%20"), "", nil)
			if w.Code >= 400 && w.Code < 500 && pages == 0 {
				return
			}
			var list struct {
				Keys        []string `xml:"Contents>Key"`
				Prefixes    []string `xml:"CommonPrefixes>Prefix"`
				IsTruncated bool
				Next        string `xml:"NextContinuationToken"`
			}
			if err := xml.Unmarshal(w.Body.Bytes(), &list); err != nil || w.Code != http.StatusOK {
				t.Fatalf("%v: %d %s, %v", query, w.Code, w.Body, err)
			}
			page := append(list.Keys, list.Prefixes...)
			for i := range page {
				page[i], _ = url.QueryUnescape(page[i])
			}
			slices.Sort(page)
			got = append(got, page...)
			if !list.IsTruncated {
				break
			}
			if list.Next == "" || len(page) == 0 || pages > len(fuzzKeys) {
				t.Fatalf("%v: page %d goes on with %q, %d keys", query, pages, list.Next, len(page))
			}
			query.Set("continuation-token", list.Next)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%v:\ngot  %q\nwant %q", query, got, want)
		}
	})
}

// Queries and headers that name things.
func FuzzNames(f *testing.F) {
	f.Add("bucket/key?versionId=x", "a=b&c=d", "k")
	f.Add("arn:aws:s3:us-east-1:1:accesspoint/a/object/b", "%zz", "..")
	f.Fuzz(func(t *testing.T, source, tags, key string) {
		if got, err := sourceOf(&source); err == nil && (got.bucket == "" || got.key == "") {
			t.Fatalf("%q is %+v", source, got)
		}
		if list, err := headerTags(&tags); err == nil && len(list) > maxObjectTags {
			t.Fatalf("%q has %d tags", tags, len(list))
		}
		_ = validBucketName(key)
		_ = validForLookup(key)
		_, _ = accountOf(key)
		_, _, _ = parseARN(key)
		_ = isPublicPolicy(key)
	})
}

// A form is stored if it is signed, and then whole, or refused.
func FuzzPost(f *testing.F) {
	s := newSite(f)
	f.Add("--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk\r\n--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nx\r\n--b--\r\n")
	f.Add("--b\r\nContent-Disposition: form-data; name=\"policy\"\r\n\r\ne30=\r\n--b\r\nContent-Disposition: form-data; name=\"x-amz-signature\"\r\n\r\n0\r\n--b--\r\n")
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest(http.MethodPost, "http://localhost/bucket", strings.NewReader(body))
		r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		w := httptest.NewRecorder()
		s.server.ServeHTTP(w, r)
		if w.Code < 400 || w.Code >= 500 {
			t.Fatalf("%d %s to %q", w.Code, w.Body, body)
		}
		err := s.db.View(t.Context(), func(tx store.Tx) error {
			for o, err := range objects.In(tx, global).Scan(store.Query{}) {
				t.Fatalf("%q was stored, %v", o.Key, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
