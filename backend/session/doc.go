// Package session is the data channel of Session Manager: what the session-manager-plugin and the SSM agent say to each
// other over a WebSocket, with the gateway in the agent's place.
//
// The story of one shell:
//
//  1. The service decides that somebody may have it, calls Begin, and hands the caller an address and a token.
//  2. The plugin opens the WebSocket and shows the token as a text message. Everything after it is binary messages
//     (message.go), numbered, acknowledged and sent again (conversation.go).
//  3. A handshake says what kind of session it is.
//  4. The program runs in the instance, by its link (package guestlink): what it prints goes out, what is typed goes in.
//  5. When it ends the channel is closed. A WebSocket that breaks does not end it: Resume makes a new token.
//
// The other side is here, too (client.go): for "mini-aws ssh", and for tests.
//
// It authorizes nobody and keeps no records; sessions end with the process.
package session
