package iam

type loginProfile struct{}

type passwordPolicy struct{}
