// SPDX-License-Identifier: Apache-2.0

//go:build !apionly

// What a node needs besides the API.
package main

import (
	"github.com/spf13/cobra"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func init() {
	parts["kube-controller-manager"] = controllers.NewControllerManagerCommand
	parts["kube-scheduler"] = func() *cobra.Command { return scheduler.NewSchedulerCommand() }
	parts["kubelet"] = func() *cobra.Command { return kubelet.NewKubeletCommand() }
	parts["kube-proxy"] = proxy.NewProxyCommand
}
