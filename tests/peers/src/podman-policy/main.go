// Podman's own verifier: does the policy file allow this image?
// usage: podman-policy POLICY.json REGISTRIES.D docker://HOST/REPOSITORY:TAG
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/containers/image/v5/signature"
	"github.com/containers/image/v5/transports/alltransports"
	"github.com/containers/image/v5/types"
)

func run(policyFile, registriesDir, image string) error {
	policy, err := signature.NewPolicyFromFile(policyFile)
	if err != nil {
		return err
	}
	judge, err := signature.NewPolicyContext(policy)
	if err != nil {
		return err
	}
	reference, err := alltransports.ParseImageName(image)
	if err != nil {
		return err
	}
	system := &types.SystemContext{
		RegistriesDirPath:           registriesDir,
		DockerInsecureSkipTLSVerify: types.OptionalBoolTrue,
	}
	source, err := reference.NewImageSource(context.Background(), system)
	if err != nil {
		return err
	}
	defer source.Close()
	unparsed := imageUnparsed(source)
	allowed, err := judge.IsRunningImageAllowed(context.Background(), unparsed)
	if err != nil {
		return err
	}
	if !allowed {
		return fmt.Errorf("the policy refused the image and said nothing")
	}
	return nil
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: podman-policy POLICY.json REGISTRIES.D docker://IMAGE")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
	fmt.Println("accepted")
}
