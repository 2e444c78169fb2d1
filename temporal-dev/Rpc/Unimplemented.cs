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
        ("TimeSkipping", "time skipping per workflow"),
        ("Activity", "operator commands on activities"),
        ("Worker", "the worker registry"),
        ("TaskQueue", "task queue configuration"),
        ("Archived", "archival"),
        ("Cluster", "multiple clusters"),
    ];

    public static RpcException Method(MethodDescriptor method)
    {
        var feature = Features.FirstOrDefault(f => method.Name.Contains(f.Part, StringComparison.Ordinal)).Feature ?? method.Name;
        return new RpcException(new Status(StatusCode.Unimplemented, $"{method.Name}: temporal-dev does not implement {feature}."));
    }
}
