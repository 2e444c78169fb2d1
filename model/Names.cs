namespace SnapshotFlow.Model;

/// <summary>Names of things in back ends and in Temporal; each follows from an id, which makes it an idempotency key.</summary>
public static class Names
{
    /// <summary>A volume in its back end. Source: Cinder's default <c>volume_name_template</c>, "volume-%s".</summary>
    public static string Volume(VolumeId id) => $"volume-{id}";

    /// <summary>A snapshot in its back end. Source: Cinder's default <c>snapshot_name_template</c>, "snapshot-%s".</summary>
    public static string Snapshot(SnapshotId id) => $"snapshot-{id}";

    /// <summary>The workflow that makes an image: one per image, so a second start is the same run.</summary>
    public static string CreateImageWorkflow(ImageId id) => $"create-image/{id}";

    /// <summary>The schedule that looks for what runs left behind, and the prefix of its workflow ids.</summary>
    public const string ReconcileSchedule = "reconcile";

    /// <summary>Task queue of workflows and record-keeping activities.</summary>
    public const string ControlQueue = "snapshotflow";

    /// <summary>Task queue of the compute worker on a hypervisor. Source: Nova's RPC topic <c>compute.&lt;host&gt;</c>.</summary>
    public static string ComputeQueue(string host) => $"compute.{host}";

    /// <summary>Task queue of the volume worker of a back end. Source: Cinder's RPC topic <c>cinder-volume.&lt;host&gt;@&lt;backend&gt;</c>.</summary>
    /// <param name="backend">"host@backend", the value of a volume's <c>backend</c> column.</param>
    public static string VolumeQueue(string backend) => $"volume.{backend}";
}
