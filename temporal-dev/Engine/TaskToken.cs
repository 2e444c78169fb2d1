using SnapshotFlow.TemporalDev.Matching;
using SnapshotFlow.TemporalDev.Store;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>
/// What a worker shows when it answers. It names the run, the task and the attempt, and nothing that lives in memory only, so it
/// is good after a restart of the server and an answer of an older attempt is recognised.
/// </summary>
/// <param name="Id">Of the query, or of the hand-out of a workflow task: two speculative tasks may have the same event id and attempt.</param>
internal sealed record TaskToken(TaskKind Kind, RunKey Run, long EventId, int Attempt, string Id = "")
{
    private const byte Version = 1;

    public ByteString Encode()
    {
        using var bytes = new MemoryStream();
        using (var writer = new BinaryWriter(bytes))
        {
            writer.Write(Version);
            writer.Write((byte)Kind);
            writer.Write(Run.Namespace);
            writer.Write(Run.WorkflowId);
            writer.Write(Run.RunId);
            writer.Write(EventId);
            writer.Write(Attempt);
            writer.Write(Id);
        }

        return UnsafeByteOperations.UnsafeWrap(bytes.ToArray());
    }

    public static TaskToken Decode(ByteString token, TaskKind kind)
    {
        if (token.IsEmpty)
        {
            throw Fault.Invalid("Task token not set on request.");
        }

        try
        {
            using var reader = new BinaryReader(new MemoryStream(token.ToByteArray()));
            if (reader.ReadByte() == Version && (TaskKind)reader.ReadByte() == kind)
            {
                var run = new RunKey(reader.ReadString(), reader.ReadString(), reader.ReadString());
                return new TaskToken(kind, run, reader.ReadInt64(), reader.ReadInt32(), reader.ReadString());
            }
        }
        catch (Exception e) when (e is IOException or FormatException or ArgumentException)
        {
            // Not a token of ours; said below.
        }

        throw Fault.Invalid("Error deserializing task token.");
    }
}
