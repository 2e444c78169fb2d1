using Google.Protobuf.Reflection;

namespace SnapshotFlow.TemporalDev.Rpc;

/// <summary>What this server leaves out on purpose, by feature.</summary>
internal static class Unimplemented
{
    private static readonly (string Part, string Feature)[] Features =
    [
        ("Nexus", "Nexus"),
        ("Batch", "batch operations"),
        ("Deployment", "worker deployments"),
        ("Versioning", "worker versioning"),
        ("BuildId", "worker versioning"),
        ("Reachability", "worker versioning"),
        ("WorkflowRule", "workflow rules"),
        ("ActivityExecution", "standalone activities"),
        ("PauseWorkflow", "workflow pause"),
        ("UnpauseWorkflow", "workflow pause"),
        ("TimeSkipping", "time skipping per workflow"),
        ("Activity", "operator commands on activities"),
        ("Worker", "the worker registry"),
        ("TaskQueuePartitions", "task queue partitions"),
        ("TaskQueue", "task queue configuration"),
        ("Archived", "archival"),
        ("Cluster", "multiple clusters"),
        ("OpenWorkflow", "the lists that ListWorkflowExecutions replaced"),
        ("ClosedWorkflow", "the lists that ListWorkflowExecutions replaced"),
        ("ScanWorkflow", "the lists that ListWorkflowExecutions replaced"),
        ("GetSearchAttributes", "the list that OperatorService.ListSearchAttributes replaced"),
        ("DeprecateNamespace", "namespace deprecation"),
        ("WorkflowExecutionOptions", "changing the options of a run"),
    ];

    public static RpcException Method(MethodDescriptor method)
    {
        return new RpcException(new Status(StatusCode.Unimplemented, $"{method.Name}: temporal-dev does not implement {FeatureOf(method.Name)}."));
    }

    /// <summary>The feature that a call belongs to; the call's own name when it is none of those left out on purpose.</summary>
    public static string FeatureOf(string methodName) =>
        Features.FirstOrDefault(f => methodName.Contains(f.Part, StringComparison.Ordinal)).Feature ?? methodName;
}
