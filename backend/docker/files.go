package docker

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/volume"

	"miniaws/backend"
)

// Files reach the engine as an image, which the engine takes whole or not at all, and from there a volume: a new volume
// that is mounted over a folder of an image starts as a copy of that folder. Nothing is ever copied into an instance,
// and it works the same where the engine is another machine. The image is needed for the copy only.

// filesFolder is where the image has the files, and the volume is mounted, in the container that makes the copy.
const filesFolder = "/files"

// EnsureFiles makes and fills the volume unless it holds the files already.
func (e *Engine) EnsureFiles(ctx context.Context, id string, files fs.FS) (err error) {
	want, err := digestsOf(files)
	if err != nil {
		return &backend.Error{Kind: backend.KindPermanent, Op: "ensure files", Object: id, Err: err}
	}
	done, err := e.makeAlone(ctx, "ensure files", id)
	if err != nil {
		return err
	}
	defer done()
	// The engine would fill a volume of that name that is somebody else's.
	switch err := e.inspectFiles(ctx, "ensure files", id); {
	case err == nil && maps.Equal(e.filled[id], want):
		return nil
	case err != nil && backend.KindOf(err) != backend.KindNotFound:
		return err
	}
	delete(e.filled, id)
	ref := "mini-aws/files-" + e.owner[:12] + ":" + id
	if err := e.importFiles(ctx, id, ref, files); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.RemoveImage(context.WithoutCancel(ctx), ref)) }()

	// A volume that was there is looked at, since a crash may have left it half filled; a new one is full.
	for range 2 {
		have, err := e.copyFiles(ctx, id, ref)
		if err != nil {
			return err
		}
		if maps.Equal(have, want) {
			e.filled[id] = want
			return nil
		}
		if err := e.RemoveFiles(ctx, id); err != nil {
			return err
		}
	}
	return &backend.Error{Kind: backend.KindUnavailable, Op: "ensure files", Object: id, Err: errors.New("a new volume does not hold what it was filled with")}
}

// importFiles makes an image of the files alone.
func (e *Engine) importFiles(ctx context.Context, id, ref string, files fs.FS) error {
	archive, feed := io.Pipe()
	go func() { feed.CloseWithError(archiveFiles(feed, files)) }()
	changes := []string{`CMD ["-"]`}
	for name, value := range e.labels(id, "", "") {
		changes = append(changes, fmt.Sprintf("LABEL %s=%q", name, value))
	}
	progress, err := e.client.ImageImport(ctx, image.ImportSource{Source: archive, SourceName: "-"}, ref, image.ImportOptions{Changes: changes})
	if err == nil {
		err = errors.Join(pullResult(progress), progress.Close())
	}
	// An engine that answers early leaves the writer waiting.
	err = errors.Join(err, archive.Close())
	if err != nil {
		return e.failure("ensure files", id, err)
	}
	return nil
}

func archiveFiles(out io.Writer, files fs.FS) error {
	archive := tar.NewWriter(out)
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		header, err := tar.FileInfoHeader(info, "")
		if err != nil {
			return err
		}
		// Owned by root, whoever runs the gateway.
		header.Name = strings.TrimPrefix(path.Join(filesFolder, name), "/")
		header.Uid, header.Gid, header.Uname, header.Gname = 0, 0, "", ""
		if entry.IsDir() {
			header.Name += "/"
			header.Mode = 0o755
		}
		if err := archive.WriteHeader(header); err != nil || entry.IsDir() {
			return err
		}
		content, err := files.Open(name)
		if err != nil {
			return err
		}
		_, err = io.Copy(archive, content)
		return errors.Join(err, content.Close())
	})
	return errors.Join(err, archive.Close())
}

// copyFiles mounts the volume over the image's folder, which fills a new one, and answers what it holds then.
func (e *Engine) copyFiles(ctx context.Context, id, ref string) (have map[string]string, err error) {
	copier := "copy." + id // no resource id has a dot
	name := e.name(copier)
	discard := func() error { return e.Remove(context.WithoutCancel(ctx), copier) }
	if err := discard(); err != nil { // left by a crash
		return nil, err
	}
	config := &container.Config{Image: ref, Labels: e.labels(copier, "", "")}
	host := &container.HostConfig{NetworkMode: "none", Mounts: []mount.Mount{{
		Type: mount.TypeVolume, Source: e.name(id), Target: filesFolder,
		VolumeOptions: &mount.VolumeOptions{Labels: e.labels(id, "", "")},
	}}}
	whole, cancel := toItsEnd(ctx)
	defer cancel()
	if _, err := e.client.ContainerCreate(whole, config, host, nil, nil, name); err != nil {
		return nil, e.failure("ensure files", id, err)
	}
	defer func() { err = errors.Join(err, discard()) }()
	content, _, err := e.client.CopyFromContainer(ctx, name, filesFolder)
	if err != nil {
		return nil, e.failure("ensure files", id, err)
	}
	have, err = digestsInArchive(content)
	if err = errors.Join(err, content.Close()); err != nil {
		return nil, e.failure("ensure files", id, err)
	}
	return have, nil
}

// digestsOf answers mode and SHA-256 of every file.
func digestsOf(files fs.FS) (map[string]string, error) {
	digests := map[string]string{}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is not a regular file", name)
		}
		content, err := files.Open(name)
		if err != nil {
			return err
		}
		digests[name], err = digestOf(info.Mode(), content)
		return errors.Join(err, content.Close())
	})
	return digests, err
}

func digestsInArchive(stream io.Reader) (map[string]string, error) {
	digests := map[string]string{}
	for archive := tar.NewReader(stream); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return digests, nil
		}
		if err != nil {
			return nil, err
		}
		info := header.FileInfo()
		if info.IsDir() {
			continue
		}
		// Names begin with the last part of the folder's.
		_, name, _ := strings.Cut(header.Name, "/")
		if digests[name], err = digestOf(info.Mode(), archive); err != nil {
			return nil, err
		}
	}
}

func digestOf(mode fs.FileMode, content io.Reader) (string, error) {
	sum := sha256.New()
	if _, err := io.Copy(sum, content); err != nil {
		return "", err
	}
	return fmt.Sprintf("%v %x", mode, sum.Sum(nil)), nil
}

// inspectFiles fails unless the volume is there: with KindNotFound, or with KindInUse where it is somebody else's.
func (e *Engine) inspectFiles(ctx context.Context, op, id string) error {
	found, err := e.client.VolumeInspect(ctx, e.name(id))
	if err != nil {
		return e.failure(op, id, err)
	}
	if found.Labels[backend.LabelOwner] != e.owner {
		return &backend.Error{Kind: backend.KindInUse, Op: op, Object: id, Err: fmt.Errorf("volume %s is not of this installation", found.Name)}
	}
	return nil
}

// RemoveFiles removes the volume.
func (e *Engine) RemoveFiles(ctx context.Context, id string) error {
	err := e.inspectFiles(ctx, "remove files", id)
	switch backend.KindOf(err) {
	case backend.KindNotFound, backend.KindInUse:
		return nil
	}
	if err != nil {
		return err
	}
	if err := e.client.VolumeRemove(ctx, e.name(id), false); err != nil && !cerrdefs.IsNotFound(err) {
		return e.failure("remove files", id, err)
	}
	return nil
}

// ListFiles answers the ids of the installation's volumes.
func (e *Engine) ListFiles(ctx context.Context) ([]string, error) {
	found, err := e.client.VolumeList(ctx, volume.ListOptions{Filters: filters.NewArgs(e.ours())})
	if err != nil {
		return nil, e.failure("list files", "volumes", err)
	}
	ids := make([]string, 0, len(found.Volumes))
	for _, item := range found.Volumes {
		ids = append(ids, item.Labels[backend.LabelID])
	}
	slices.Sort(ids)
	return ids, nil
}

// mountsOf answers the volumes of the container's files.
func (e *Engine) mountsOf(spec backend.Spec) []mount.Mount {
	var mounts []mount.Mount
	for _, target := range slices.Sorted(maps.Keys(spec.Files)) {
		mounts = append(mounts, mount.Mount{
			Type: mount.TypeVolume, Source: e.name(spec.Files[target]), Target: target, ReadOnly: true,
			// An empty volume would be filled from the image's folder of that name.
			VolumeOptions: &mount.VolumeOptions{NoCopy: true},
		})
	}
	return mounts
}
