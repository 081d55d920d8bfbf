package blob

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"miniaws/backend/store"
)

// Look says where the bytes of a blob are, and what is there at this moment.
func (s *Store) Look(tx store.Tx, ref Ref) (string, error) {
	how := "sealed with AES-256-GCM"
	switch {
	case ref.ID == "":
		return "no bytes at all", nil
	case ref.Plain:
		how = "as they are"
	case ref.Foreign:
		how += " and the customer's key"
	}
	if !ref.File {
		rest, err := bytesTable.In(tx, global).Get(ref.ID)
		if errors.Is(err, store.ErrNotFound) {
			return "MISSING: row /0/_/_/blob/bytes/" + ref.ID, nil
		}
		return fmt.Sprintf("row /0/_/_/blob/bytes/%s of the store: %d bytes, %s in %d at rest", ref.ID, ref.Size, how, len(rest)), err
	}
	place := "file " + ref.ID
	var found fs.FileInfo
	if folder, ok := s.files.(*Folder); ok {
		place = "file " + folder.place(ref.ID)
		var err error
		if found, err = os.Stat(folder.place(ref.ID)); errors.Is(err, fs.ErrNotExist) {
			return "MISSING: " + place, nil
		} else if err != nil {
			return "", err
		}
	}
	row, err := filesTable.In(tx, global).Find(ref.ID)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("%s: %d bytes, %s in %d chunks of 64 KiB", place, ref.Size, how, (ref.Size+chunkSize-1)/chunkSize)
	if found != nil {
		text += fmt.Sprintf(", %d at rest", found.Size())
	}
	if row == nil {
		return text + "; NOBODY COUNTS IT", nil
	}
	return text + fmt.Sprintf("; %d records refer to it", row.Refs), nil
}
