using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.Rbd;

/// <summary>What the ledger knows of a snapshot.</summary>
/// <param name="Volume">The volume it is, or is going to be, of.</param>
/// <param name="Cut">The cluster's number of the snapshot; null until it has been cut.</param>
/// <param name="SizeBytes">Size of the volume at the cut.</param>
/// <param name="CreatedAt">The instant of the cut.</param>
/// <param name="Group">The group it was cut with; null when it was cut alone.</param>
internal sealed record RbdEntry(VolumeId Volume, ulong? Cut, long SizeBytes, DateTimeOffset CreatedAt, string? Group);

/// <summary>The volumes of a group that is cut together.</summary>
internal sealed record RbdGroupEntry(IReadOnlyList<GroupMember> Members);

/// <summary>
/// The object <c>snapshotflow.ledger</c> beside the images: one key per snapshot id, so that an id names one snapshot in the whole pool, a list needs no
/// look at every image, and the instant of a cut is remembered more finely than the cluster does. An entry is written before the cut and completed after it.
/// Images decide: an entry whose cut (by the cluster's number) is not there stands for nothing.
/// <para>Changes are made only to what was read: the OSD compares the old value and writes the new one in one operation.</para>
/// </summary>
internal sealed unsafe class RbdLedger(RadosPoolHandle pool)
{
    private const string Object = "snapshotflow.ledger";

    private static readonly JsonSerializerOptions Format = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, RespectRequiredConstructorParameters = true };

    public RbdEntry? Read(SnapshotId snapshot) => Read<RbdEntry>(Names.Snapshot(snapshot));

    public RbdGroupEntry? ReadGroup(string group) => Read<RbdGroupEntry>(group);

    /// <summary>Replaces an entry; null stands for none. False when it is not as expected any more.</summary>
    public bool Change(SnapshotId snapshot, RbdEntry? expected, RbdEntry? wanted) => Change(Names.Snapshot(snapshot), Bytes(expected), Bytes(wanted));

    /// <inheritdoc cref="Change(SnapshotId, RbdEntry?, RbdEntry?)"/>
    public bool ChangeGroup(string group, RbdGroupEntry? expected, RbdGroupEntry? wanted) => Change(group, Bytes(expected), Bytes(wanted));

    /// <summary>Some entries of snapshots in the order of their ids, from the first after <paramref name="after"/>.</summary>
    public IReadOnlyList<(SnapshotId Snapshot, RbdEntry Entry)> Page(SnapshotId? after, int most)
    {
        var operation = Librados.rados_create_read_op();
        try
        {
            byte more;
            int result;
            Librados.rados_read_op_omap_get_vals2(operation, after is { } id ? Names.Snapshot(id) : "", "snapshot-", (ulong)most, out var iterator, &more, &result);
            if (!Run(operation))
            {
                return [];
            }

            return [.. Values(iterator).Select(v => (Id: BackendNames.TrySnapshot(v.Key, out var snapshot) ? snapshot : (SnapshotId?)null, v.Value))
                .Where(v => v.Id is not null).Select(v => (v.Id!.Value, Parse<RbdEntry>(v.Value)))];
        }
        finally
        {
            Librados.rados_release_read_op(operation);
        }
    }

    private T? Read<T>(string key) where T : class
    {
        var operation = Librados.rados_create_read_op();
        var name = Marshal.StringToCoTaskMemUTF8(key);
        try
        {
            var keys = (byte*)name;
            int result;
            Librados.rados_read_op_omap_get_vals_by_keys(operation, &keys, 1, out var iterator, &result);
            return Run(operation) && Values(iterator) is [var found, ..] ? Parse<T>(found.Value) : null;
        }
        finally
        {
            Marshal.FreeCoTaskMem(name);
            Librados.rados_release_read_op(operation);
        }
    }

    /// <summary>False when the object is not there yet.</summary>
    private bool Run(nint operation)
    {
        var result = Librados.rados_read_op_operate(operation, pool, Object, 0);
        return result != -RbdErrors.ENOENT && RbdErrors.Check(result, "rados_read_op_operate", Object) >= 0;
    }

    private static List<(string Key, byte[] Value)> Values(nint iterator)
    {
        var values = new List<(string, byte[])>();
        byte* key;
        byte* value;
        nuint length;
        while (RbdErrors.Check(Librados.rados_omap_get_next(iterator, &key, &value, &length), "rados_omap_get_next", Object) == 0 && key is not null)
        {
            values.Add((RbdImage.Text(key), new ReadOnlySpan<byte>(value, (int)length).ToArray()));
        }

        Librados.rados_omap_get_end(iterator);
        return values;
    }

    private bool Change(string key, byte[] expected, byte[] wanted)
    {
        var operation = Librados.rados_create_write_op();
        var name = Marshal.StringToCoTaskMemUTF8(key);
        try
        {
            fixed (byte* old = expected, @new = wanted)
            {
                var keys = (byte*)name;
                var values = @new;
                var length = (nuint)wanted.Length;
                int result;
                Librados.rados_write_op_create(operation, 0, 0);
                // A key that is not there compares as empty.
                Librados.rados_write_op_omap_cmp(operation, keys, Librados.Equal, old, (nuint)expected.Length, &result);
                if (wanted.Length > 0)
                {
                    Librados.rados_write_op_omap_set(operation, &keys, &values, &length, 1);
                }
                else
                {
                    Librados.rados_write_op_omap_rm_keys(operation, &keys, 1);
                }

                var changed = Librados.rados_write_op_operate(operation, pool, Object, 0, 0);
                return changed != -RbdErrors.ECANCELED && RbdErrors.Check(changed, "rados_write_op_operate", Object) >= 0;
            }
        }
        finally
        {
            Marshal.FreeCoTaskMem(name);
            Librados.rados_release_write_op(operation);
        }
    }

    private static byte[] Bytes<T>(T? entry) where T : class => entry is null ? [] : JsonSerializer.SerializeToUtf8Bytes(entry, Format);

    private static T Parse<T>(byte[] value)
    {
        try
        {
            return JsonSerializer.Deserialize<T>(value, Format) ?? throw new JsonException("it is null");
        }
        catch (JsonException e)
        {
            throw new SnapshotFlowException(ErrorKind.BackendRefused,
                $"{Object} holds '{Encoding.UTF8.GetString(value)}', which is damaged: {e.Message}; remove that key (rados rmomapkey) once you have looked at the snapshot", e);
        }
    }
}
