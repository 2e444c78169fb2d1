using System.Text;
using Temporalio.Api.Workflow.V1;

namespace SnapshotFlow.TemporalDev.Store.Postgres;

/// <summary>
/// Transitions as the bytes of one row of the journal. Numbers and lengths are 7-bit encoded as <see cref="BinaryWriter"/> does, texts
/// are UTF-8 and run ids 16 bytes; protocol messages and bytes follow their length.
/// </summary>
/// <example>
/// <code>
/// batch      = count transition*
/// transition = count run*  count key(deleted)*  count blob*
/// run        = key first-event-id History side flags [start-request-id WorkflowExecutionInfo]
/// key        = namespace workflow-id run-id
/// blob       = kind key has-value [value]
/// </code>
/// </example>
internal static class JournalFormat
{
    [Flags]
    private enum RunFlags : byte
    {
        None = 0,
        HasHeader = 1,
        IsCurrent = 2,
        IsLive = 4,
    }

    /// <summary>Appends a batch to a stream that is empty.</summary>
    public static void Write(MemoryStream stream, IReadOnlyList<Transition> batch)
    {
        using var writer = new BinaryWriter(stream, Encoding.UTF8, leaveOpen: true);
        writer.Write7BitEncodedInt(batch.Count);
        foreach (var transition in batch)
        {
            writer.Write7BitEncodedInt(transition.Runs.Count);
            foreach (var run in transition.Runs)
            {
                Write(writer, stream, run);
            }

            writer.Write7BitEncodedInt(transition.Deleted.Count);
            foreach (var key in transition.Deleted)
            {
                Write(writer, key);
            }

            writer.Write7BitEncodedInt(transition.Blobs.Count);
            foreach (var blob in transition.Blobs)
            {
                Write(writer, blob);
            }
        }
    }

    public static IReadOnlyList<Transition> Read(byte[] bytes)
    {
        using var reader = new BinaryReader(new MemoryStream(bytes, writable: false), Encoding.UTF8);
        return ReadList(reader, r => new Transition(ReadList(r, ReadRun), ReadList(r, ReadKey), ReadList(r, ReadBlob)));
    }

    private static void Write(BinaryWriter writer, MemoryStream stream, RunChange run)
    {
        Write(writer, run.Key);
        writer.Write7BitEncodedInt64(run.FirstEventId);
        Write(writer, stream, new History { Events = { run.Events } });
        Write(writer, run.Side);
        if (run.Header is not { } header)
        {
            writer.Write((byte)RunFlags.None);
            return;
        }

        writer.Write((byte)(RunFlags.HasHeader | (header.IsCurrent ? RunFlags.IsCurrent : 0) | (header.IsLive ? RunFlags.IsLive : 0)));
        writer.Write(header.StartRequestId);
        Write(writer, stream, header.Info);
    }

    private static RunChange ReadRun(BinaryReader reader)
    {
        var key = ReadKey(reader);
        var first = reader.Read7BitEncodedInt64();
        var events = History.Parser.ParseFrom(ReadBytes(reader)).Events;
        var side = ReadBytes(reader);
        var flags = (RunFlags)reader.ReadByte();
        if (!flags.HasFlag(RunFlags.HasHeader))
        {
            return new RunChange(key, first, events, side, null);
        }

        var requestId = reader.ReadString();
        var info = WorkflowExecutionInfo.Parser.ParseFrom(ReadBytes(reader));
        return new RunChange(key, first, events, side, new RunHeader(info, requestId, flags.HasFlag(RunFlags.IsCurrent), flags.HasFlag(RunFlags.IsLive)));
    }

    private static void Write(BinaryWriter writer, RunKey key)
    {
        writer.Write(key.Namespace);
        writer.Write(key.WorkflowId);
        Span<byte> id = stackalloc byte[16];
        Guid.Parse(key.RunId).TryWriteBytes(id);
        writer.Write(id);
    }

    private static RunKey ReadKey(BinaryReader reader) => new(reader.ReadString(), reader.ReadString(), new Guid(reader.ReadBytes(16)).ToString());

    private static void Write(BinaryWriter writer, BlobChange blob)
    {
        writer.Write(blob.Kind);
        writer.Write(blob.Key);
        writer.Write(blob.Value is not null);
        if (blob.Value is not null)
        {
            Write(writer, blob.Value);
        }
    }

    private static BlobChange ReadBlob(BinaryReader reader) => new(reader.ReadString(), reader.ReadString(), reader.ReadBoolean() ? ReadBytes(reader) : null);

    private static void Write(BinaryWriter writer, byte[] bytes)
    {
        writer.Write7BitEncodedInt(bytes.Length);
        writer.Write(bytes);
    }

    /// <summary>Straight into the stream's buffer, without a copy in between.</summary>
    private static void Write(BinaryWriter writer, MemoryStream stream, IMessage message)
    {
        var size = message.CalculateSize();
        writer.Write7BitEncodedInt(size);
        var start = (int)stream.Position;
        stream.SetLength(start + size);
        message.WriteTo(stream.GetBuffer().AsSpan(start, size));
        stream.Position = start + size;
    }

    private static byte[] ReadBytes(BinaryReader reader)
    {
        var length = reader.Read7BitEncodedInt();
        var bytes = reader.ReadBytes(length);
        return bytes.Length == length ? bytes : throw new EndOfStreamException("a row of the journal is cut off");
    }

    private static T[] ReadList<T>(BinaryReader reader, Func<BinaryReader, T> read)
    {
        var items = new T[reader.Read7BitEncodedInt()];
        for (var i = 0; i < items.Length; i++)
        {
            items[i] = read(reader);
        }

        return items;
    }
}
