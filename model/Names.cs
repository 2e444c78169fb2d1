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

    /// <summary>The workflow that makes one volume snapshot on its own.</summary>
    public static string CreateSnapshotWorkflow(SnapshotId id) => $"create-snapshot/{id}";

    /// <summary>The workflow that deletes a volume snapshot: one at a time, so a second request joins the first.</summary>
    public static string DeleteSnapshotWorkflow(SnapshotId id) => $"delete-snapshot/{id}";

    /// <summary>The workflow that deletes an image: one at a time.</summary>
    public static string DeleteImageWorkflow(ImageId id) => $"delete-image/{id}";

    /// <summary>The workflow that makes the volumes of an image.</summary>
    public static string RestoreImageWorkflow(OperationId id) => $"restore-image/{id}";

    /// <summary>The workflow that makes one volume from a snapshot.</summary>
    public static string CreateVolumeWorkflow(VolumeId id) => $"create-volume/{id}";

    /// <summary>The workflow that deletes a volume: one at a time.</summary>
    public static string DeleteVolumeWorkflow(VolumeId id) => $"delete-volume/{id}";

    /// <summary>The schedule that looks for what runs left behind, and the prefix of its workflow ids.</summary>
    public const string ReconcileSchedule = "reconcile";

    /// <summary>Task queue of workflows and record-keeping activities.</summary>
    public const string ControlQueue = "snapshotflow";

    private const string Compute = "compute.";
    private const string Backend = "volume.";

    /// <summary>Task queue of the compute worker on a hypervisor. Source: Nova's RPC topic <c>compute.&lt;host&gt;</c>.</summary>
    public static string ComputeQueue(string host) => Compute + host;

    /// <summary>Task queue of the volume worker of a back end. Source: Cinder's RPC topic <c>cinder-volume.&lt;host&gt;@&lt;backend&gt;</c>.</summary>
    /// <param name="backend">"host@backend", the value of a volume's <c>backend</c> column.</param>
    public static string VolumeQueue(string backend) => Backend + backend;

    /// <summary>The host, or "host@backend", that a task queue leads to; null for the queue of control workers, of whom any may answer.</summary>
    public static string? Place(string taskQueue) =>
        taskQueue.StartsWith(Compute, StringComparison.Ordinal) ? taskQueue[Compute.Length..]
        : taskQueue.StartsWith(Backend, StringComparison.Ordinal) ? taskQueue[Backend.Length..]
        : null;
}
