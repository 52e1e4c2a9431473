package main

import (
	"github.com/containers/image/v5/image"
	"github.com/containers/image/v5/types"
)

// imageUnparsed is the image itself, or the index itself: no platform is chosen.
func imageUnparsed(source types.ImageSource) *image.UnparsedImage {
	return image.UnparsedInstance(source, nil)
}
