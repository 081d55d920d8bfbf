//go:build linux

package guest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// cloudConfig is what init itself applies of a #cloud-config where the image has no cloud-init, as container images have none.
// What is not here is named on the console.
type cloudConfig struct {
	boot, run       []string // lines of a shell
	files           []cloudFile
	users           []User
	keys            []string // of the login user
	update, upgrade bool
	packages        []cloudPackage
	// others are the keys that are not applied, wrong is what is not as it should be and why.
	others, wrong []string
}

type cloudPackage struct{ name, version string }

// parseCloudConfig reads a #cloud-config. What is wrong in one entry leaves the others alone, but for commands: with one
// that cannot be read, none of its list runs.
// The keys and their forms are those of cloud-init's documentation, "Module reference".
func parseCloudConfig(text []byte) (c cloudConfig, err error) {
	var tree map[string]yaml.Node
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return c, err
	}
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		node, err := resolved(tree[key]), error(nil)
		switch key {
		case "bootcmd":
			c.boot, err = shellLines(node)
		case "runcmd":
			c.run, err = shellLines(node)
		case "write_files":
			err = c.readEntries(node, key, c.readFile)
		case "ssh_authorized_keys":
			if err = node.Decode(&c.keys); err != nil {
				c.keys = nil
			}
		case "users":
			err = c.readUsers(node)
		case "package_update", "apt_update":
			err = node.Decode(&c.update)
		case "package_upgrade", "apt_upgrade":
			err = node.Decode(&c.upgrade)
		case "packages":
			err = c.readEntries(node, key, c.readPackage)
		default:
			c.others = append(c.others, key)
		}
		if err != nil {
			c.wrong = append(c.wrong, fmt.Sprintf("%s: %v", key, err))
		}
	}
	return c, nil
}

// resolved answers what an alias stands for, or the node itself.
func resolved(node yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return &node
}

// list reads a list's entries.
func list(node *yaml.Node) (all []*yaml.Node, err error) {
	var entries []yaml.Node
	err = node.Decode(&entries)
	for _, entry := range entries {
		all = append(all, resolved(entry))
	}
	return all, err
}

// readEntries reads a list whose entries have nothing to do with each other.
func (c *cloudConfig) readEntries(node *yaml.Node, key string, read func(*yaml.Node) error) error {
	all, err := list(node)
	for i, entry := range all {
		if err := read(entry); err != nil {
			c.wrong = append(c.wrong, fmt.Sprintf("%s: entry %d: %v", key, i+1, err))
		}
	}
	return err
}

// shellLines reads commands: a text is a line of a shell, a list the words of one.
func shellLines(node *yaml.Node) (lines []string, err error) {
	all, err := list(node)
	if err != nil {
		return nil, err
	}
	for _, one := range all {
		if one.Kind != yaml.SequenceNode {
			var line string
			if err := one.Decode(&line); err != nil {
				return nil, err
			}
			lines = append(lines, line)
			continue
		}
		var words []string
		if err := one.Decode(&words); err != nil {
			return nil, err
		}
		for i, word := range words {
			words[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return lines, nil
}

// textOrList reads a list that may be one text, with commas between the members.
func textOrList(node *yaml.Node) (all []string, err error) {
	if node.Kind == yaml.SequenceNode {
		err = node.Decode(&all)
		return all, err
	}
	var text string
	if err := node.Decode(&text); err != nil || text == "" {
		return nil, err
	}
	for one := range strings.SplitSeq(text, ",") {
		all = append(all, strings.TrimSpace(one))
	}
	return all, nil
}

// readUsers reads the list of users, or one text with their names.
func (c *cloudConfig) readUsers(node *yaml.Node) error {
	if node.Kind != yaml.ScalarNode || node.Tag == "!!null" {
		return c.readEntries(node, "users", c.readUser)
	}
	names, err := textOrList(node)
	for _, name := range names {
		err = errors.Join(err, c.addUser(User{Name: name}))
	}
	return err
}

func (c *cloudConfig) addUser(user User) error {
	if user.Name == "default" { // the login user, which is there anyway
		return nil
	}
	if err := user.validate(); err != nil {
		return err
	}
	c.users = append(c.users, user)
	return nil
}

func (c *cloudConfig) readUser(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		return c.addUser(User{Name: node.Value})
	}
	var fields map[string]yaml.Node
	if err := node.Decode(&fields); err != nil {
		return err
	}
	var user User
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		value, err := resolved(fields[key]), error(nil)
		switch key {
		case "name":
			err = value.Decode(&user.Name)
		case "shell":
			err = value.Decode(&user.Shell)
		case "groups":
			user.Groups, err = textOrList(value)
		case "ssh_authorized_keys":
			err = value.Decode(&user.AuthorizedKeys)
		case "sudo":
			var known bool
			if user.Sudo, known, err = readSudo(value); !known {
				c.others = append(c.others, "users.sudo")
			}
		case "gecos", "lock_passwd", "lock-passwd": // a password matches nothing either way
		default:
			c.others = append(c.others, "users."+key)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return c.addUser(user)
}

// everything are the rules of sudo that init knows, without their spaces: all commands, as root at least, and no password.
var everything = []string{"ALL=(ALL)NOPASSWD:ALL", "ALL=(ALL:ALL)NOPASSWD:ALL", "ALL=(root)NOPASSWD:ALL"}

// readSudo tells whether a user's rules let it do everything. Of rules the last that fits counts, so with one among them that
// says anything else none is known, and the user gets nothing. A text is one rule, commas and all.
func readSudo(node *yaml.Node) (all, known bool, err error) {
	var rules []string
	switch {
	case node.Kind == yaml.SequenceNode:
		if err := node.Decode(&rules); err != nil {
			return false, true, err
		}
	case node.Kind != yaml.ScalarNode:
		return false, false, nil
	case node.Tag == "!!null" || node.Tag == "!!bool" && node.Value == "false" || node.Value == "":
	default:
		rules = []string{node.Value}
	}
	for _, rule := range rules {
		if !slices.Contains(everything, strings.Join(strings.Fields(rule), "")) {
			return false, false, nil
		}
	}
	return len(rules) > 0, true, nil
}

func (c *cloudConfig) readPackage(node *yaml.Node) error {
	words := []string{node.Value}
	switch node.Kind {
	case yaml.SequenceNode:
		if err := node.Decode(&words); err != nil {
			return err
		}
	case yaml.MappingNode: // packages of one manager alone
		var managers map[string]yaml.Node
		if err := node.Decode(&managers); err != nil {
			return err
		}
		for _, manager := range slices.Sorted(maps.Keys(managers)) {
			c.others = append(c.others, "packages."+manager)
		}
		return nil
	}
	if len(words) == 0 || len(words) > 2 || words[0] == "" || strings.HasPrefix(words[0], "-") {
		return errors.New("a package is a name, or a name and a version")
	}
	p := cloudPackage{name: words[0]}
	if len(words) == 2 {
		p.version = words[1]
	}
	c.packages = append(c.packages, p)
	return nil
}

// readFile reads an entry of write_files. One whose content is to be fetched is not applied: an empty file would not be it.
func (c *cloudConfig) readFile(node *yaml.Node) error {
	var f cloudFile
	var fields map[string]yaml.Node
	if err := errors.Join(node.Decode(&f), node.Decode(&fields)); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(cloudFileFields, key) {
			c.others = append(c.others, "write_files."+key)
		}
	}
	_, fetched := fields["source"]
	if _, written := fields["content"]; fetched && !written {
		return nil
	}
	c.files = append(c.files, f)
	return nil
}
