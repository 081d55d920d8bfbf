package ssm

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// amazon owns the documents that are there without anybody having made them: those of AWS's that this installation runs.
const amazon = "Amazon"

// amazonText are their contents, by name. AWS: the documents themselves, as GetDocument answers them.
var amazonText = map[string]struct {
	typ     types.DocumentType
	content string
}{
	shellScript: {types.DocumentTypeCommand, `{
  "schemaVersion": "1.2",
  "description": "Run a shell script or specify the commands to run.",
  "parameters": {
    "commands": {
      "type": "StringList",
      "description": "(Required) Specify a shell script or a command to run.",
      "minItems": 1,
      "displayType": "textarea"
    },
    "workingDirectory": {
      "type": "String",
      "default": "",
      "description": "(Optional) The path to the working directory on your instance.",
      "maxChars": 4096
    },
    "executionTimeout": {
      "type": "String",
      "default": "3600",
      "description": "(Optional) The time in seconds for a command to complete before it is considered to have failed. Default is 3600 (1 hour). Maximum is 172800 (48 hours).",
      "allowedPattern": "([1-9][0-9]{0,4})|(1[0-6][0-9]{4})|(17[0-1][0-9]{3})|(172[0-7][0-9]{2})|(172800)"
    }
  },
  "runtimeConfig": {
    "aws:runShellScript": {
      "properties": [
        {
          "id": "0.aws:runShellScript",
          "runCommand": "{{ commands }}",
          "workingDirectory": "{{ workingDirectory }}",
          "timeoutSeconds": "{{ executionTimeout }}"
        }
      ]
    }
  }
}`},
	commandDocument: {types.DocumentTypeSession, `{
  "schemaVersion": "1.0",
  "description": "Document to run single interactive command on an instance",
  "sessionType": "InteractiveCommands",
  "parameters": {
    "command": {"type": "StringList", "description": "(Required) The command to run on the instance."}
  },
  "properties": {"linux": {"commands": "{{ command }}", "runAsElevated": false}}
}`},
	portDocument: {types.DocumentTypeSession, `{
  "schemaVersion": "1.0",
  "description": "Document to start port forwarding session over Session Manager",
  "sessionType": "Port",
  "parameters": {
    "portNumber": {"type": "String", "description": "(Optional) Port number of the server on the instance", "default": "80"},
    "localPortNumber": {"type": "String", "description": "(Optional) Port number on local machine to forward traffic to. An open port is chosen at run-time if not provided", "default": "0"}
  },
  "properties": {"portNumber": "{{ portNumber }}", "type": "LocalPortForwarding", "localPortNumber": "{{ localPortNumber }}"}
}`},
	remotePortDocument: {types.DocumentTypeSession, `{
  "schemaVersion": "1.0",
  "description": "Document to start port forwarding session over Session Manager to remote host",
  "sessionType": "Port",
  "parameters": {
    "host": {"type": "String", "description": "(Optional) Hostname or IP address of the destination server"},
    "portNumber": {"type": "String", "description": "(Optional) Port number of the server on the instance"},
    "localPortNumber": {"type": "String", "description": "(Optional) Port number on local machine to forward traffic to. An open port is chosen at run-time if not provided", "default": "0"}
  },
  "properties": {"host": "{{ host }}", "portNumber": "{{ portNumber }}", "type": "LocalPortForwarding", "localPortNumber": "{{ localPortNumber }}"}
}`},
	sshDocument: {types.DocumentTypeSession, `{
  "schemaVersion": "1.0",
  "description": "Document to start SSH session over Session Manager",
  "sessionType": "Port",
  "parameters": {
    "portNumber": {"type": "String", "description": "(Optional) Port number of SSH server on the instance", "default": "22"}
  },
  "properties": {"portNumber": "{{ portNumber }}"}
}`},
}

// amazonMade is when they were made, as far as lists show it.
var amazonMade = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// amazonDocument answers one of AWS's documents, nil for none.
func amazonDocument(name string) *document {
	text, ok := amazonText[name]
	if !ok {
		return nil
	}
	return &document{Name: name, Type: text.typ, Default: 1, Latest: 1, Created: amazonMade, owner: amazon}
}

// amazonVersion is its only version.
func amazonVersion(d *document) *documentVersion {
	v := &documentVersion{Document: d.Name, Number: 1, Format: types.DocumentFormatJson, Content: amazonText[d.Name].content, Created: amazonMade}
	if err := v.read(d.Type); err != nil {
		panic("ssm: " + d.Name + ": " + err.Error()) // a test reads all of them
	}
	return v
}
