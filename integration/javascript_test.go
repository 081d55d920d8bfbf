package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// javascriptPackages are the parts of the SDK for JavaScript that stories use.
var javascriptPackages = []string{
	"@aws-sdk/client-s3@3.1175.0", "@aws-sdk/lib-storage@3.1175.0", "@aws-sdk/s3-request-presigner@3.1169.0", "@aws-sdk/s3-presigned-post@3.1164.0",
}

// javascriptSDK answers the folder node_modules that holds the SDK, which npm fetches once, to a folder of the user's cache.
var javascriptSDK = sync.OnceValues(func() (string, error) {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", err
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "mini-aws-tests", "javascript-3.1175.0")
	modules := filepath.Join(folder, "node_modules")
	if _, err := os.Stat(modules); err == nil {
		return modules, nil
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o700); err != nil {
		return "", err
	}
	made, err := os.MkdirTemp(filepath.Dir(folder), "installing-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(made)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	install := append([]string{"install", "--prefix", made, "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"}, javascriptPackages...)
	if out, err := exec.CommandContext(ctx, "npm", install...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm: %w: %s", err, out)
	}
	// Another test may have been faster.
	if err := os.Rename(made, folder); err != nil {
		if _, there := os.Stat(modules); there != nil {
			return "", err
		}
	}
	return modules, nil
})
