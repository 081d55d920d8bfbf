package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"

	"miniaws/backend"
)

// HasImage asks the engine's image store.
func (e *Engine) HasImage(ctx context.Context, ref string) (bool, error) {
	_, err := e.client.ImageInspect(ctx, ref)
	if cerrdefs.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, e.failure("has image", ref, err)
	}
	return true, nil
}

// EnsureImage pulls the image where the engine lacks it.
func (e *Engine) EnsureImage(ctx context.Context, ref string) error {
	has, err := e.HasImage(ctx, ref)
	if has || err != nil {
		return err
	}
	progress, err := e.client.ImagePull(ctx, ref, image.PullOptions{})
	if err == nil {
		err = errors.Join(pullResult(progress), progress.Close())
	}
	if err == nil {
		return nil
	}
	if _, alive := e.client.Ping(ctx); alive != nil {
		return e.failure("ensure image", ref, alive)
	}
	return &backend.Error{
		Kind: backend.KindImageNotFound, Op: "ensure image", Object: ref,
		Err: fmt.Errorf("the engine does not hold it and it could not be pulled: %w", err),
	}
}

// pullResult reads a pull's progress to its end: the pull lasts as long as the stream, and an error in the middle is a
// message of the stream.
func pullResult(progress io.Reader) error {
	for decoder := json.NewDecoder(progress); ; {
		var message struct {
			Error string `json:"error"`
		}
		switch err := decoder.Decode(&message); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case message.Error != "":
			return errors.New(message.Error)
		}
	}
}

// RemoveImage removes an image that Commit made for this installation.
func (e *Engine) RemoveImage(ctx context.Context, ref string) error {
	found, err := e.client.ImageInspect(ctx, ref)
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return e.failure("remove image", ref, err)
	}
	if found.Config == nil || found.Config.Labels[backend.LabelOwner] != e.owner {
		return nil
	}
	_, err = e.client.ImageRemove(ctx, ref, image.RemoveOptions{})
	if err == nil || cerrdefs.IsNotFound(err) {
		return nil
	}
	return e.failure("remove image", ref, err)
}
